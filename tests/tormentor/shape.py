"""What a tormented API is like: its contract, how it answers, and what happens to it between two requests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from typing import NamedTuple

from hypothesis import strategies as st

from worker.provider import Bounds, Contract, Order, Paging

OLDEST, NEWEST, UNKNOWN = Order.OLDEST_FIRST, Order.NEWEST_FIRST, Order.UNKNOWN
_ANY = Contract(paging=Paging.OFFSET, order=UNKNOWN, filters_from=True, filters_to=True, page_size=5, by_id=False)


def _contract(
    paging: Paging, order: Order, filters: str = "", *, drifts: bool = True, from_id: bool = False
) -> Contract:
    asked = replace(_ANY, filters_from="from" in filters, filters_to="to" in filters)
    return replace(asked, paging=paging, order=order, drifts=drifts, from_id=from_id)


CONTRACTS = {
    "offset, unknown order, from and to (GovApp)": _contract(Paging.OFFSET, UNKNOWN, "from to"),
    "offset, oldest first, from and to (Realtime Register)": _contract(Paging.OFFSET, OLDEST, "from to"),
    "offset, newest first, from and to": _contract(Paging.OFFSET, NEWEST, "from to"),
    "offset, oldest first, from": _contract(Paging.OFFSET, OLDEST, "from"),
    "offset, newest first, from": _contract(Paging.OFFSET, NEWEST, "from"),
    "offset, unknown order": _contract(Paging.OFFSET, UNKNOWN),
    "offset, newest first": _contract(Paging.OFFSET, NEWEST),
    "page number, newest first (Bookkeep)": _contract(Paging.PAGE_NUMBER, NEWEST),
    "page number, oldest first": _contract(Paging.PAGE_NUMBER, OLDEST),
    "page number, oldest first, from": _contract(Paging.PAGE_NUMBER, OLDEST, "from"),
    "page number, unknown order, from and to": _contract(Paging.PAGE_NUMBER, UNKNOWN, "from to"),
    "link that drifts, newest first, from (GitHub)": _contract(Paging.NEXT_LINK, NEWEST, "from"),
    "link that drifts, oldest first, from": _contract(Paging.NEXT_LINK, OLDEST, "from"),
    "link that drifts, unknown order, from and to": _contract(Paging.NEXT_LINK, UNKNOWN, "from to"),
    "link that stays, newest first": _contract(Paging.NEXT_LINK, NEWEST, drifts=False),
    "cursor that stays, oldest first, from": _contract(Paging.CURSOR, OLDEST, "from", drifts=False),
    "cursor that drifts, newest first, from and to": _contract(Paging.CURSOR, NEWEST, "from to"),
    "from the last known id (Stripe, Mastodon)": _contract(Paging.CURSOR, NEWEST, "from", from_id=True),
    "one page alone, oldest first, from and to": _contract(Paging.NONE, OLDEST, "from to"),
    "one page alone, unknown order, from and to": _contract(Paging.NONE, UNKNOWN, "from to"),
}
"""Every paging kind, each order, with and without filters; whether bounds are inclusive is drawn for each run."""


class What(Enum):
    """What happens right before a request is answered, or to its answer."""

    NOTHING = "nothing"
    INSERT = "a row is made"
    LATE = "a row shows up late"
    REMOVE = "a row vanishes"
    CHANGE = "a row changes"
    FUTURE = "a row comes from the future"
    MISDATE = "a row comes without a time that can be"
    REDATE = "a row moves to another time"
    UNNAMED = "an item comes without an id"
    WAIT = "the answer takes its time"
    REPEAT = "the last answer comes again"
    SKIP = "the page after the one that was asked for comes"
    CIRCLE = "the next page is the first one"
    FOREIGN = "the next page is at another host"
    STALE = "closed rows are shown as they were before"
    REORDER = "rows come in another order"
    ERR = "the request fails"
    THROTTLE = "it asks us to slow down"
    CRASH = "we die before the commit"


class Torment(NamedTuple):
    """`which` and `much` say which row, and how much of it, of what there is then. `more`: the next comes with it."""

    what: What
    which: int
    much: int
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One run. `gaps` are the seconds between the rows that are there from the start, the newest last.

    `newest_first_in_page`, `numeric_ids`, `goes_back`: of an API that is read by ids. `spread`: rows keep so far apart
    that an instant never fills a page; then their order need not be stable. `ties`: or rows come two by two at one
    instant, and such a pair in another order for each request. `turbulence`: what happens, request by request;
    `pauses`: the minutes before each tormented pass.
    """

    contract: Contract
    gaps: tuple[int, ...]
    cap: int | None
    inclusive: bool
    tells_total: bool
    tells_more: bool
    dates: bool
    skew: timedelta
    tick: timedelta
    overlap: timedelta
    from_now: bool
    spread: bool
    ties: bool
    newest_first_in_page: bool
    numeric_ids: bool
    goes_back: bool
    turbulence: tuple[Torment, ...]
    pauses: tuple[int, ...]


@st.composite
def scenarios(draw: st.DrawFn, contract: Contract, *, likely: Sequence[What] | None = None) -> Scenario:
    """Any run of an API with this contract; or of what is `likely` alone."""
    lonely = contract.paging is Paging.NONE
    size = draw(st.integers(6 if lonely else 1, 8))
    ties = draw(st.booleans()) and _ordered_offset(contract)
    size = max(size, 5) if ties else size
    spread = lonely or (draw(st.booleans()) and contract.filters_to and not ties)
    cap = draw(st.none() | st.integers(5 if ties or lonely else 1, size)) if not ties else None
    tells_total = draw(st.booleans())
    return Scenario(
        contract=replace(contract, page_size=size, bounds=draw(st.sampled_from(Bounds))),
        gaps=tuple(_GAPS[byte % len(_GAPS)] for byte in _bytes(draw, 30)),
        cap=cap,
        inclusive=draw(st.booleans()),
        tells_total=tells_total,
        tells_more=draw(st.booleans()),
        dates=draw(st.booleans()),
        skew=timedelta(seconds=draw(st.sampled_from((0, 0, 20, -20, 300)))),
        tick=timedelta(seconds=draw(st.sampled_from((0.2, 1)))),
        overlap=timedelta(seconds=draw(st.sampled_from((60, 120, 600)))),
        from_now=draw(st.booleans()),
        spread=spread,
        ties=ties,
        newest_first_in_page=draw(st.booleans()),
        numeric_ids=draw(st.booleans()),
        goes_back=draw(st.booleans()),
        turbulence=tuple(_torments(_bytes(draw, 60, 3), likely or _LIKELY)),
        pauses=tuple(draw(st.lists(st.integers(0, 12), min_size=1, max_size=4))),
    )


def _ordered_offset(contract: Contract) -> bool:
    return contract.paging is Paging.OFFSET and contract.order is not UNKNOWN


def _bytes(draw: st.DrawFn, most: int, each: int = 1) -> bytes:
    """Some of it, of any length: one draw, as a run should cost no more than it is worth."""
    length = draw(st.integers(0, most)) * each
    return draw(st.binary(min_size=length, max_size=length))


def _torments(dice: bytes, likely: Sequence[What]) -> Iterator[Torment]:
    for what, which, much in zip(*[iter(dice)] * 3, strict=True):
        yield Torment(likely[what % len(likely)], which % 31, much % 61, which >= 128)


_GAPS = (1, 0, 1, 2, 1, 7, 30, 120)
_OFTEN = (What.NOTHING,) * 6 + (What.INSERT, What.LATE, What.REMOVE, What.WAIT) * 2 + (What.CHANGE, What.CRASH)
_LIKELY = (*_OFTEN, *What)
