"""Requests on the wire: within a deadline, within bounds, and never to anyone but who was asked."""

import io
import re
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from socket import socket
from typing import Any
from urllib.parse import urlsplit

import requests
import tenacity
import urllib3
from requests.adapters import HTTPAdapter
from tenacity.stop import stop_base
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from worker import __version__
from worker.errors import ContractBroken, Unavailable
from worker.rest.answers import Raw
from worker.rest.auth import Auth

_CHUNK = 64 * 1024
_SERVER_ERROR = 500
_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": f"Tocsin/{__version__}",
}
_deadline: ContextVar[float] = ContextVar("deadline")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on one request (POLLING, section 5). `total` covers its tries inside as well, from first to last byte."""

    connect: timedelta = timedelta(seconds=10)
    total: timedelta = timedelta(seconds=30)
    body: int = 16 * 1024 * 1024
    tries: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Whom we trust (None: certifi's list) and who we are: PEM files of a certificate and its key."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. `url` is whole and encoded; `headers` are made anew for each try; `form` is sent as a body.

    `permit` is called before each try; a ProviderError that it raises is the end of the request.
    """

    method: str
    url: str
    headers: Callable[[], Mapping[str, str]] = dict
    auth: Auth = field(default_factory=Auth)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    permit: Callable[[], None] = lambda: None


class Wire:
    """Sends requests, one at a time, over connections that are kept. `sleep` takes seconds."""

    def __init__(
        self, tls: Tls | None = None, limits: Limits | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._tls = tls or Tls()
        self._limits = limits or Limits()
        self._sleep = sleep
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter())

    def send(self, request: Request) -> Raw:
        """The answer, whatever its status. A connection error or a 5xx is tried again, shortly after, three times.

        A 503 that says when to come back is not. Raises Unavailable when there is no whole answer in time, and
        ContractBroken for one that passes the bounds.
        """
        deadline = time.monotonic() + self._limits.total.total_seconds()
        tries = tenacity.Retrying(
            stop=tenacity.stop_any(tenacity.stop_after_attempt(self._limits.tries), _TooLate(deadline)),
            wait=tenacity.wait_exponential_jitter(multiplier=0.2, max=2, jitter=0.2),
            retry=tenacity.retry_if_exception(_is_passing) | tenacity.retry_if_result(_is_out_of_order),
            sleep=self._sleep,
            retry_error_callback=_last_word,
        )
        try:
            answer: Raw = tries(self._try, request, deadline)
        except _Unconnected as error:
            raise Unavailable(error.detail) from None
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _try(self, request: Request, deadline: float) -> Raw:
        request.permit()
        host = urlsplit(request.url).hostname
        token = _deadline.set(deadline)
        try:
            with self._open(request, deadline) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Raw(response.status_code, headers, self._body(response.raw))
        except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
            raise Unavailable(f"No whole answer from {host} in time.") from None
        except (requests.exceptions.SSLError, urllib3.exceptions.SSLError) as error:
            raise Unavailable(f"No trust in {host}: {_tls_reason(error)}.") from None
        except (requests.exceptions.ContentDecodingError, urllib3.exceptions.DecodeError):
            raise ContractBroken("Its answer can't be decoded.") from None
        except (requests.ConnectionError, urllib3.exceptions.HTTPError, OSError) as error:
            raise _Unconnected(f"No connection to {host}, or it broke off ({type(error).__name__}).") from None
        except (requests.RequestException, ValueError):
            raise ContractBroken("The request can't be made: the address or a header is not usable.") from None
        finally:
            _deadline.reset(token)

    def _open(self, request: Request, deadline: float) -> requests.Response:
        left = max(deadline - time.monotonic(), 0.001)
        return self._session.request(
            request.method,
            request.url,
            headers={**_HEADERS, **request.headers()},
            data=request.form,
            auth=request.auth,
            timeout=(min(self._limits.connect.total_seconds(), left), left),
            allow_redirects=False,
            stream=True,
            verify=str(self._tls.ca) if self._tls.ca else True,
            cert=_pair(self._tls),
        )

    def _body(self, stream: urllib3.HTTPResponse) -> bytes:
        body = bytearray()
        while chunk := stream.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > self._limits.body:
                raise ContractBroken(f"Its answer is over {self._limits.body} bytes.")
        return bytes(body)


class _Unconnected(Unavailable):
    """No answer, but perhaps a moment later."""


class _Timed(io.RawIOBase):
    """A socket's reading end that keeps to the request's deadline: however slowly bytes trickle, it ends."""

    def __init__(self, raw: io.RawIOBase, sock: socket, deadline: float) -> None:
        super().__init__()
        self._raw, self._sock, self._deadline = raw, sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        buffered: Any = self.fp
        self.fp = io.BufferedReader(_Timed(buffered.detach(), sock, _deadline.get()))


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


class _TooLate(stop_base):
    """No try is begun after the deadline."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        return time.monotonic() + retry_state.upcoming_sleep >= self._deadline


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, _Unconnected)


def _is_out_of_order(answer: Raw) -> bool:
    return answer.status >= _SERVER_ERROR and "retry-after" not in answer.headers


def _pair(tls: Tls) -> str | tuple[str, str] | None:
    if tls.certificate is None:
        return None
    return (str(tls.certificate), str(tls.key)) if tls.key else str(tls.certificate)


def _tls_reason(error: Exception) -> str:
    """OpenSSL's words for what is wrong with the certificate."""
    found = re.search(r"\] (?:certificate verify failed: )?([^(\n]+)", str(error))
    return found[1].strip() if found else "TLS failed"


def _last_word(state: tenacity.RetryCallState) -> Any:
    return state.outcome.result() if state.outcome else None
