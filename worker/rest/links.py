"""The `Link` header (RFC 8288): where the next page is. Pure."""

import re

_LINK = re.compile(r"<([^<>]*)>((?:\s*;\s*[^\s;=,]+\s*(?:=\s*(?:\"(?:[^\"\\]|\\.)*\"|[^\s;,\"]*))?)*)\s*(?:,|$)")
_PARAMETER = re.compile(r";\s*([^\s;=,]+)\s*(?:=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;,\"]*)))?")


def next_of(header: str | None) -> str | None:
    """The address whose relation is `next`, as it is written; None where there is none."""
    for link in _LINK.finditer(header or ""):
        for name, quoted, plain in _PARAMETER.findall(link[2]):
            if name.lower() == "rel" and "next" in (quoted or plain).lower().split():
                return link[1]
    return None
