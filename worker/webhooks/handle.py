"""A libcurl handle set up for one target: all that every attempt shares (DELIVERY, section 2)."""

from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import certifi
import pycurl

from worker.webhooks.signature import written_forms
from worker.webhooks.target import Target

_OURS = frozenset({"webhook-id", "webhook-timestamp", "webhook-signature", "content-type"})
_LIBCURLS = frozenset({"content-length", "transfer-encoding", "expect", "connection"})
_SHORTEST_HIDDEN = 8
_URL_SAFE = "!#$%&'()*+,/:;=?@[]~"


def new_handle(target: Target) -> pycurl.Curl:
    """The handle, without callbacks, body and headers.

    Raises pycurl.error, ValueError (UnicodeError among them) where the URL or another value can't be used.
    """
    curl = pycurl.Curl()
    try:
        for option, value in (*_request_options(target), *_tls_options(target)):
            curl.setopt(option, value)
        curl.unsetopt(pycurl.CAPATH)  # built in; it would be trusted besides the file that was named
    except BaseException:
        curl.close()
        raise
    return curl


def fixed_headers(target: Target, user_agent: str) -> list[bytes]:
    """The header lines that every request to this target has. The endpoint's own never replace those that we sign."""
    own = {
        name: value
        for name, value in target.headers.items()
        if name.lower() not in _OURS and name.lower() not in _LIBCURLS and not name.lower().startswith("webhook-")
    }
    lines = [f"Content-Type: {target.content_type}", "Expect:"]
    if "user-agent" not in map(str.lower, own):
        lines.append(f"User-Agent: {user_agent}")
    lines += [f"{name}: {value}" if value else f"{name};" for name, value in own.items()]
    return [line.encode() for line in lines]


def hidden_texts(target: Target) -> tuple[bytes, ...]:
    """What must not stand in a stored answer (INTERFACE, section 5), the longest first.

    Short header values are no secrets, and hiding them would make an answer unreadable.
    """
    texts = {text.encode() for text in _secrets_of(target) if len(text) >= _SHORTEST_HIDDEN}
    return tuple(sorted(texts, key=len, reverse=True))


def _request_options(target: Target) -> Iterator[tuple[int, object]]:
    yield pycurl.URL, _ascii_url(target.url)
    yield pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS
    yield pycurl.PROXY, ""
    yield pycurl.NOPROXY, "*"
    yield pycurl.FOLLOWLOCATION, 0
    yield pycurl.POST, 1
    yield pycurl.NOSIGNAL, 1
    yield pycurl.TIMEOUT_MS, _milliseconds(target.timeout)
    yield pycurl.CONNECTTIMEOUT_MS, _milliseconds(target.connect_timeout)


def _tls_options(target: Target) -> Iterator[tuple[int, object]]:
    yield pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS
    yield pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2
    yield pycurl.SSL_VERIFYPEER, 1
    yield pycurl.SSL_VERIFYHOST, 2
    yield pycurl.CAINFO, str(target.ca or certifi.where())
    if target.client_certificate:
        certificate, key = target.client_certificate
        yield pycurl.SSLCERT, str(certificate)
        yield pycurl.SSLKEY, str(key or certificate)
        yield pycurl.KEYPASSWD, ""  # else OpenSSL asks for one at the terminal, and everything waits


def _milliseconds(duration: timedelta) -> int:
    """At least one: zero would mean no limit at all."""
    return max(1, round(duration / timedelta(milliseconds=1)))


def _ascii_url(url: str) -> str:
    """The URL as it goes over the wire: the host in IDNA, the rest percent-encoded."""
    if url.isascii():
        return url
    parts = urlsplit(url)
    user, at, address = parts.netloc.rpartition("@")
    host, colon, port = address.partition(":")
    netloc = quote(user, _URL_SAFE) + at + host.encode("idna").decode("ascii") + colon + port
    return urlunsplit((parts.scheme, netloc, quote(parts.path, _URL_SAFE), quote(parts.query, _URL_SAFE), ""))


def _secrets_of(target: Target) -> Iterator[str]:
    for key in target.secrets:
        yield from written_forms(key)
    for value in target.headers.values():
        yield value
        yield from value.split()
    parts = urlsplit(target.url)
    yield parts.query
    yield from (part.partition("=")[2] for part in parts.query.split("&"))
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    yield password
    yield unquote(password)
    yield b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
