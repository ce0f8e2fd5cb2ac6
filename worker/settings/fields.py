"""The kinds of values that sources and endpoints share: what is accepted, and what is said of the rest."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Strict, ValidationInfo

from worker.settings.secret import HeaderValue, surroundings
from worker.settings.wording import quoted

T = TypeVar("T")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
}  # fmt: skip
_OURS = frozenset(_HOP_BY_HOP | {"host", "content-length", "expect"})
_SENT = _OURS | {"content-type", "content-encoding", "user-agent"}


class Section(BaseModel):
    """A table of the configuration: frozen, closed to unknown keys, silent about what was in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _url(text: str) -> str:
    """The URL itself is never repeated: it may hold a password."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("a URL has only printable ASCII characters and no spaces; percent-encode the others")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL; write https://host/path") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ValueError("is not an http or https URL with a host; write https://host/path")
    if "#" in text:
        raise ValueError("a fragment (#…) is never sent; leave it out")
    return text


def _existing(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("must be the path of a file, in quotes")
    path = surroundings(info).folder / value
    if not path.is_file():
        raise ValueError(f"there is no file {quoted(str(value))}")
    return path


def _network(value: object) -> IPv4Network | IPv6Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{quoted(value)} is not a network; write 10.0.0.0/8 or fd00::/8")  # noqa: TRY004  # pydantic's
    try:
        network = ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"{quoted(value)} is not a network; write 10.0.0.0/8 or fd00::/8") from None
    if "/" in value and ip_network(value.split("/")[0]).network_address != network.network_address:
        raise ValueError(f"{quoted(value)} has more than the network in it; write {network}")
    return network


def _header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError("is not a header's name")
    if name.lower() in _OURS:
        raise ValueError("this header follows from the request and can't be set")
    return name


def _endpoint_header_name(name: str) -> str:
    if name.lower() in _SENT or name.lower().startswith("webhook-"):
        raise ValueError("this header is set for every message and can't be set here")
    return _header_name(name)


def _each_once(headers: dict[str, HeaderValue]) -> dict[str, HeaderValue]:
    names = [name.lower() for name in headers]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{quoted(twice[0])} stands here twice; upper and lower case make no difference")
    return headers


def _not_empty(values: tuple[T, ...]) -> tuple[T, ...]:
    if not values:
        raise ValueError("is empty; leave the key out for its default")
    return values


NOT_EMPTY = AfterValidator(_not_empty)
"""A list with something in it; pydantic's own bound would count only the entries that are valid."""

Url = Annotated[str, AfterValidator(_url)]
"""An http or https address; its password, if any, is never repeated."""

ExistingFile = Annotated[Path, BeforeValidator(_existing)]
"""A file that is there; relative to the configuration's folder."""

Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
"""Addresses, as `10.0.0.0/8` or one alone."""

Whole = Annotated[int, Strict()]
"""A whole number, and neither text nor true."""

Headers = Annotated[dict[Annotated[str, AfterValidator(_header_name)], HeaderValue], AfterValidator(_each_once)]
"""Extra headers of requests to a provider."""

EndpointHeaders = Annotated[
    dict[Annotated[str, AfterValidator(_endpoint_header_name)], HeaderValue], AfterValidator(_each_once)
]
"""Extra headers of requests to an endpoint: not those that every message has."""
