"""HTML as plain text: providers write for their own pages, receivers have none (PROVIDERS, section 2.11)."""

import re
from html.parser import HTMLParser
from typing import Final

from worker.rest.reading import lines, text

_SILENT: Final = frozenset({"script", "style"})
_BLOCKS: Final = (
    "address article aside blockquote br caption dd details dialog div dl dt fieldset figcaption figure footer form "
    "h1 h2 h3 h4 h5 h6 header hr li main menu nav ol option p pre section summary table td th tr ul"
)
_BREAKING: Final = frozenset(_BLOCKS.split())


def plain(value: object) -> str | None:
    """The text of a piece of HTML: tags dropped with the content of script and style, entities decoded.

    Blocks and `<br>` break lines; white space is collapsed within a line, and empty lines are dropped.
    """
    html = text(value)
    if html is None:
        return None
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return lines("".join(reader.parts))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  # HTMLParser's
        if tag in _SILENT:
            self._silent += 1
        elif tag in _BREAKING:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _BREAKING:
            self.parts.append("\n")

    def _keep(self, data: str) -> None:
        if not self._silent:
            self.parts.append(re.sub(r"\s+", " ", data))

    handle_data = _keep  # HTMLParser's name for it
