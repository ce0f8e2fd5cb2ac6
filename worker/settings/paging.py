"""`page` of a described provider: how its list is paged (POLLING, sections 3 and 8)."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictStr, model_validator

from worker.settings.expression import Expression
from worker.settings.fields import Section, Whole
from worker.settings.wording import quoted

_Name = Annotated[StrictStr, Field(min_length=1)]


def sent_twice(named: Iterable[tuple[str, str]]) -> Iterator[str]:
    """What is wrong with these pairs of a key and the query parameter that it names, where two name the same."""
    keys: dict[str, str] = {}
    for key, parameter in named:
        first = keys.setdefault(parameter, key)
        if first != key:
            yield f"{first} and {key} are both {quoted(parameter)}; a request has each parameter once"


class Paged(Section):
    """What all kinds have: `size` is the parameter by which a page's size is asked for, `ask` the size.

    `total` is where the count of all rows is, `more` where an answer says, by anything but false, null and what is
    empty, that there is another page.
    """

    size: _Name | None = None
    ask: Annotated[Whole, Field(ge=1, le=10_000)] = 100
    total: Expression | None = None
    more: Expression | None = None

    @model_validator(mode="after")
    def _sent_once(self) -> Self:
        for problem in sent_twice(self.named()):
            raise ValueError(problem)
        return self

    def named(self) -> Iterator[tuple[str, str]]:
        """The query parameters that are set for every page, each after the key that names it."""
        if self.size:
            yield "size", self.size


class OffsetPage(Paged):
    """`offset`: the parameter that counts rows from 0."""

    kind: Literal["offset"]
    offset: _Name = "offset"

    def named(self) -> Iterator[tuple[str, str]]:
        """With the offset."""
        yield from super().named()
        yield "offset", self.offset


class NumberPage(Paged):
    """`number`: the parameter that counts pages; `first` is the number of the first."""

    kind: Literal["page_number"]
    number: _Name = "page"
    first: Annotated[Whole, Field(ge=0, le=1)] = 1

    def named(self) -> Iterator[tuple[str, str]]:
        """With the number."""
        yield from super().named()
        yield "number", self.number


class LinkPage(Paged):
    """`next`: where the address of the next page is in an answer; without it, it is in the `Link` header.

    `stable`: rows that vanish don't move others to a page before; links that hold page numbers are not.
    """

    kind: Literal["link"]
    next: Expression | None = None
    stable: StrictBool = False


class CursorPage(Paged):
    """`cursor`: the parameter that takes what an answer has at `next`. Or the cursor is an item's id.

    Then `after` is the parameter that takes the last id that is known and gives what is immediately newer; `before`
    gives what is older than one. Without an id: where there is `before`, from the newest back; else from `first` on.
    `within`: the order of the items of one page. `ids`: decimal ones are compared as numbers.
    """

    kind: Literal["cursor"]
    cursor: _Name | None = None
    next: Expression | None = None
    stable: StrictBool = True
    after: _Name | None = None
    before: _Name | None = None
    first: StrictStr | None = None
    within: Literal["newest_first", "oldest_first"] = "newest_first"
    ids: Literal["decimal", "opaque"] = "opaque"

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.cursor is None) == (self.after is None) or (self.cursor is None) != (self.next is None):
            raise ValueError("write cursor and next, or after; one of the two")
        if self.cursor is not None and (self.before is not None or self.first is not None):
            raise ValueError("before and first belong to after")
        return self

    def named(self) -> Iterator[tuple[str, str]]:
        """With those that take a cursor, or an id."""
        yield from super().named()
        named = {"cursor": self.cursor, "after": self.after, "before": self.before}
        yield from ((key, name) for key, name in named.items() if name)


class NoPage(Paged):
    """One page is all there is; where `size` limits it, it is asked for by time."""

    kind: Literal["none"]


Page = Annotated[OffsetPage | NumberPage | LinkPage | CursorPage | NoPage, Field(discriminator="kind")]
"""All kinds of paging."""
