"""Where metrics are served: `"127.0.0.1:9464"`, or `"[::1]:9464"`."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address

OFF = "off"
_WRITE = "write 127.0.0.1:9464 or [::1]:9464"
_ADDRESS = re.compile(
    r"(?:\[(?P<ipv6>[^\[\]]*)\]|(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)):(?P<port>[0-9]{1,5})"
)
_LAST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Listening:
    """An address to listen on; an IPv6 one without its brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def listening(text: object) -> Listening | None:
    """The address; None for "off". Raises ValueError for what is none."""
    if not isinstance(text, str):
        raise ValueError(f"must be text, in quotes; {_WRITE}")  # noqa: TRY004  # as every problem of the configuration
    if text == OFF:
        return None
    found = _ADDRESS.fullmatch(text)
    if not found or not 0 < int(found["port"]) <= _LAST_PORT:
        raise ValueError(f"is not an address and a port; {_WRITE}")
    if found["host"]:
        return Listening(found["host"], int(found["port"]))
    try:
        return Listening(str(IPv6Address(found["ipv6"])), int(found["port"]))
    except ValueError:
        raise ValueError(f"has no IPv6 address in its brackets; {_WRITE}") from None
