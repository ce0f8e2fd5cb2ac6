"""A model of a provider's API: rows with histories, asked by the real ways of paging, request by request.

`Model` is the API: what it has at any moment, how it filters, orders and pages, what it answers. `ModelProvider` asks
it as a provider asks over HTTP, with worker.rest in between, so what is tested is what a contract makes of it.
"""

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, ClassVar, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

from worker.errors import ItemRejected
from worker.notification import Item, Notification, Status
from worker.provider import Bounds, Contract, Order, Page, Paging, Provider, Validators, Window
from worker.rest.answers import Answer, Refused
from worker.rest.client import Client, Parameters
from worker.rest.listing import Ask, Listing, pages_of
from worker.rest.paging import Reading

Raw = dict[str, Any]

WINDOWED = Contract(
    paging=Paging.OFFSET, order=Order.UNKNOWN, filters_from=True, filters_to=True, page_size=5, by_id=False
)
"""Like GovApp: any time can be asked for, in no order; nothing can be asked for by its id."""

OLDEST_FIRST = replace(
    WINDOWED, order=Order.OLDEST_FIRST, bounds=Bounds.INCLUSIVE, by_id=True, later_changes=("resolved", "read")
)
"""Like Realtime Register: in order, by id, and by when they were read or resolved."""

NEWEST_FIRST = replace(
    WINDOWED, paging=Paging.PAGE_NUMBER, order=Order.NEWEST_FIRST, filters_from=False, filters_to=False, by_id=True
)
"""Like Bookkeep: newest first, by id, and no time can be asked for."""

SINCE = replace(WINDOWED, paging=Paging.NEXT_LINK, order=Order.OLDEST_FIRST, filters_to=False)
"""It can be asked for what follows a time, and tells where the next page is."""

_BASE = "http://model.test"
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Row:
    """A row's history: what it is from each of these moments on; None: it isn't there."""

    id: str
    states: list[tuple[datetime, Raw | None]] = field(default_factory=list)

    def at(self, now: datetime) -> Raw | None:
        """The row as the API has it then."""
        reached = bisect_right(self.states, now, key=lambda state: state[0])
        return self.states[reached - 1][1] if reached else None


class Model:
    """An API. Its knobs may be turned at any time; nothing but its clock makes rows change.

    `cap`: it gives no more rows a page, whatever was asked. `inclusive`: whether a bound is in the window, where the
    contract doesn't say. `tells_total`, `dates`: what is in an answer. `skew`: how far its clock is ahead of ours.
    `before`: called before each request with what it is (`list`, `one`, `changes`); it may change rows, or raise.
    `doctor`: what an answer's rows are turned into. `asked` counts the requests.
    """

    def __init__(self, contract: Contract, clock: Callable[[], datetime]) -> None:
        self.contract, self.clock = contract, clock
        self.rows: dict[str, Row] = {}
        self.asked: Counter[str] = Counter()
        self.cap: int | None = None
        self.inclusive = contract.bounds is not Bounds.EXCLUSIVE
        self.tells_total = True
        self.dates = True
        self.skew = timedelta()
        self.acknowledged: list[str] = []
        self.before: Callable[[str], object] = lambda _kind: None
        self.doctor: Callable[[list[Raw]], list[Any]] = list
        self._by_time: list[tuple[datetime, str]] = []
        self._timeless: set[str] = set()

    @property
    def now(self) -> datetime:
        """The API's clock."""
        return self.clock() + self.skew

    def put(
        self, identity: str, state: str = "new", at: Any = ..., *, shown_at: datetime | None = None, **more: Any
    ) -> Raw:
        """A row that is there from `shown_at` (now) on; it says that it was made `at` (then): any text too."""
        shown_at = shown_at or self.now
        made = shown_at if at is ... else at
        raw = {"id": identity, "state": state, "at": _text(made), "updated": _text(shown_at), **more}
        self._become(identity, shown_at, raw)
        return raw

    def change(self, identity: str, *, when: datetime | None = None, **fields: Any) -> Raw:
        """The row is different from then (now) on; it says when, and when it was read or resolved."""
        when = when or self.now
        before = self.rows[identity].at(when) or {"id": identity}
        state = fields.get("state")
        dated = {state: _text(when)} if state in self.contract.later_changes else {}
        raw = {**before, "updated": _text(when), **dated, **fields}
        if "at" in fields:
            raw["at"] = _text(fields["at"])
        self._become(identity, when, raw)
        return raw

    def remove(self, identity: str, when: datetime | None = None) -> None:
        """The row is not there any more from then (now) on."""
        insort(self.rows[identity].states, (when or self.now, None), key=lambda state: state[0])

    def there(self) -> dict[str, Raw]:
        """All rows as they are now."""
        return {row.id: raw for row in self.rows.values() if (raw := row.at(self.now)) is not None}

    @property
    def requests(self) -> int:
        """How many requests it was asked."""
        return self.asked.total()

    def _become(self, identity: str, when: datetime, raw: Raw) -> None:
        insort(self.rows.setdefault(identity, Row(identity)).states, (when, raw), key=lambda state: state[0])
        at = _instant(raw.get("at"))
        if at is None:
            self._timeless.add(identity)
        elif (at, identity) not in self._by_time[(here := bisect_left(self._by_time, (at, identity))) : here + 1]:
            self._by_time.insert(here, (at, identity))

    def get(self, path: str, parameters: Parameters = ()) -> Answer:
        """The answer to a GET, as the client gives it. Raises Refused for what is not there."""
        parts = urlsplit(path)
        asked = {**dict(parse_qsl(parts.query)), **{name: str(value) for name, value in parameters}}
        kind, _, identity = parts.path.lstrip("/").partition("/")
        what = "one" if identity else "changes" if "change" in asked else "list"
        self.asked[what] += 1
        self.before(what)
        body = self._one(identity) if kind == "rows" and identity else self._list(asked)
        return Answer(200, body, {}, self.now.replace(microsecond=0) if self.dates else None)

    def _one(self, identity: str) -> Raw:
        row = self.rows.get(identity)
        raw = row.at(self.now) if row else None
        if raw is None:
            raise Refused("there is none", 404, None)
        return raw

    def _list(self, asked: dict[str, str]) -> Raw:
        rows = self._changed(asked) if "change" in asked else self._within(asked)
        size = min(int(asked["size"]), self.cap or int(asked["size"]))
        offset = int(asked.get("offset", 0)) or (int(asked.get("number", 1)) - 1) * size
        page = rows[offset : offset + size]
        body: Raw = {"rows": self.doctor(page), "more": offset + len(page) < len(rows)}
        if self.tells_total:
            body["total"] = len(rows)
        if body["more"]:
            onward = {**asked, "offset": str(offset + len(page))}
            body["link"], body["cursor"] = f"{_BASE}/rows?{urlencode(onward)}", onward["offset"]
        return body

    def _within(self, asked: dict[str, str]) -> list[Raw]:
        start, end = _instant(asked.get("from")), _instant(asked.get("to"))
        side = bisect_left if self.inclusive else bisect_right
        here = 0 if start is None else side(self._by_time, start, key=lambda entry: entry[0])
        side = bisect_right if self.inclusive else bisect_left
        there = len(self._by_time) if end is None else side(self._by_time, end, key=lambda entry: entry[0])
        found = [(at, raw) for at, identity in self._by_time[here:there] if (raw := self._as_of(identity, at))]
        if start is None and end is None:
            found += [(_LAST, raw) for identity in sorted(self._timeless) if (raw := self._as_of(identity, None))]
        return [raw for _, raw in self._ordered(found)]

    def _changed(self, asked: dict[str, str]) -> list[Raw]:
        change, since = asked["change"], _instant(asked.get("from")) or _FIRST
        dated = [(at, raw) for raw in self.there().values() if (at := _instant(raw.get(change))) and at >= since]
        return [raw for _, raw in sorted(dated, key=lambda one: (one[0], one[1]["id"]))]

    def _as_of(self, identity: str, at: datetime | None) -> Raw | None:
        raw = self.rows[identity].at(self.now)
        return raw if raw is not None and _instant(raw.get("at")) == at else None

    def _ordered(self, found: list[tuple[datetime, Raw]]) -> list[tuple[datetime, Raw]]:
        if self.contract.order is Order.UNKNOWN:
            return sorted(found, key=lambda one: sha256(one[1]["id"].encode()).digest())
        return found if self.contract.order is Order.OLDEST_FIRST else found[::-1]


class ModelProvider(Provider):
    """Asks a model, as its contract says. A model may have several who ask: `asked` counts the requests of this one.

    `before`: called before each of its requests; it may change rows, or raise.
    """

    slug: ClassVar[str] = "model"
    contract: ClassVar[Contract] = WINDOWED

    def __init__(self, model: Model) -> None:
        self.model = model
        self.asked: Counter[str] = Counter()
        self.before: Callable[[], object] = lambda: None
        self.contract = model.contract  # type: ignore[misc]  # each model has its own

    def pages(self, window: Window) -> Iterator[Page]:
        return pages_of(cast("Client", self), self.contract, self._listing(self._query, "at"), window)

    def changes(self, change: str, since: datetime) -> Iterator[Page]:
        contract = replace(self.contract, order=Order.OLDEST_FIRST, filters_from=True)
        listing = self._listing(lambda ask: [("change", change), *self._query(ask)], change)
        return pages_of(cast("Client", self), contract, listing, Window(start=since))

    def fetch(self, external_id: str) -> Item | None:
        try:
            return cast("Item", self.get(f"rows/{external_id}").json)
        except Refused:
            return None

    def get(self, path: str, parameters: Parameters = (), _validators: Validators | None = None) -> Answer:
        """As a client: one request."""
        self.before()
        before = self.model.asked.copy()
        try:
            return self.model.get(path, parameters)
        finally:
            self.asked += self.model.asked - before

    def address(self, path: str, parameters: Parameters = ()) -> str:
        """As a client: the whole address of a path."""
        return f"{_BASE}/{path}?{urlencode(list(parameters))}"

    def acknowledge(self, external_ids: Sequence[str]) -> None:
        self.model.acknowledged += external_ids

    def normalise(self, item: Item, now: datetime) -> Notification:  # noqa: ARG002  # nothing here hangs on the clock
        if not isinstance(item.get("id"), str):
            raise ItemRejected("it has no id")
        return Notification(
            external_id=item["id"],
            kind=item.get("kind"),
            title=None,
            status=Status(item["state"]),
            provider_status=item["state"],
            occurred_at=_instant(item.get("at")),
            updated_at=_instant(item.get("updated")),
            expires_at=_instant(item.get("until")),
            raw=item,
        )

    def _listing(self, query: Callable[[Ask], Parameters], when: str) -> Listing:
        return Listing(
            request=lambda ask: ("rows", query(ask)),
            listed=self._listed,
            key=lambda raw: raw.get("id") if isinstance(raw, dict) else None,
            when=lambda raw: _instant(raw.get(when)) if isinstance(raw, dict) else None,
            size=self.contract.page_size,
        )

    def _query(self, ask: Ask) -> Parameters:
        """Times are sent in whole grains: the first cut, the last rounded up."""
        grain = self.contract.grain
        asked: list[tuple[str, str | int]] = [("size", ask.size)]
        if ask.window.start and self.contract.filters_from:
            asked.append(("from", _cut(ask.window.start, grain).isoformat()))
        if ask.window.end and self.contract.filters_to:
            asked.append(("to", (_cut(ask.window.end - timedelta.resolution, grain) + grain).isoformat()))
        places = {"offset": ask.offset, "number": ask.number, "offset ": ask.cursor}
        return [*asked, *((name.strip(), value) for name, value in places.items() if value is not None)]

    def _listed(self, answer: Answer) -> Reading:
        body, paging = answer.json, self.contract.paging
        following = {Paging.NEXT_LINK: body.get("link"), Paging.CURSOR: body.get("cursor")}
        return Reading(
            rows=body["rows"],
            server_date=answer.server_date,
            more=None if paging is Paging.OFFSET else body["more"],
            total=body.get("total"),
            next=following.get(paging),
        )


def _cut(at: datetime, grain: timedelta) -> datetime:
    return at - (at - _FIRST) % grain


def _text(at: object) -> object:
    return at.isoformat() if isinstance(at, datetime) else at


def _instant(text: object) -> datetime | None:
    """The time, if it is one."""
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
