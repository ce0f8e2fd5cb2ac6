"""What a provider is: a contract, pages of items, a mapping (POLLING, section 1)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, ClassVar, Protocol

from worker.notification import Item, Notification, Outlined, Status


class Paging(Enum):
    """How the API is paged; POLLING, section 3 says how each is read to the end."""

    NEXT_LINK = "next link"
    OFFSET = "offset"
    PAGE_NUMBER = "page number"
    CURSOR = "cursor"
    NONE = "none"


class Order(Enum):
    """The order of rows that can be asked for; UNKNOWN: none is documented, so none is trusted."""

    OLDEST_FIRST = "oldest first"
    NEWEST_FIRST = "newest first"
    UNKNOWN = "unknown"


class Bounds(Enum):
    """Whether a row that lies exactly on a time bound is in the answer."""

    INCLUSIVE = "inclusive"
    EXCLUSIVE = "exclusive"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What is known of an API. It chooses the algorithm; nothing else asks which provider this is.

    `grain` is the coarser of the time format sent and the precision stored: a window is widened by it.
    `later_changes` names the filters by which changes of older rows can be asked for; `volatile` the top-level members
    of an item whose change alone is no update. `drifts`: rows that vanish move those after them to earlier pages, also
    where a page is found by a link. `from_id`: it can be asked for what follows an id, so a pass begins at
    `Window.after_id`; such ids are good for `keep_for` (None: for ever).
    """

    paging: Paging
    order: Order
    filters_from: bool
    filters_to: bool
    time_field: str | None = None
    bounds: Bounds = Bounds.UNKNOWN
    grain: timedelta = timedelta(seconds=1)
    page_size: int
    largest_page: int | None = None
    by_id: bool
    acknowledges: bool = False
    closed: frozenset[Status] = frozenset({Status.RESOLVED, Status.IGNORED})
    later_changes: tuple[str, ...] = ()
    volatile: frozenset[str] = frozenset()
    drifts: bool = True
    from_id: bool = False
    keep_for: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Validators:
    """What an answer is known by, byte for byte: asked with them, an API may say that nothing has changed since."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(slots=True)
class Answered:
    """What a pass was answered so far, request by request, so that one that is cut short can be gone on with.

    It is given the same again for the same requests, without asking. `pages`: how many pages of it are stored;
    `whole`: nothing is left out, as it is where it became too much to be kept.
    """

    readings: list[Any] = field(default_factory=list)
    pages: int = 0
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Window:
    """The time asked for, both ends already widened by one grain; None: from the beginning, or without an end.

    `validators` are sent with the first request of the pass, and with no other. `after_id`: the last id of the last
    complete pass, for an API that is read by ids. `answered`: what is kept of the answers, if anything is to be.
    `begun_at`: when the pass began, by the provider's clock as far as it is known.
    """

    start: datetime | None = None
    end: datetime | None = None
    validators: Validators | None = None
    after_id: str | None = None
    answered: Answered | None = field(default=None, compare=False, repr=False)
    begun_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One response. `last`: the provider says that nothing follows. `items` may hold anything that JSON can.

    `repairs` counts the rows' jumps that paging mended to get here; `server_date` is the answer's `Date` header.
    `total`: how many rows the provider says that it has of what was asked for; it may well be wrong.
    `validators` are those of the pass's first answer. They stand on the last page, and only where that answer
    being unchanged means that there is nothing new to read. `not_before`: the provider asks to be
    left alone until then, by our clock. `newest_id`, where the contract says `from_id`: everything up to this id has
    been given with this page and those before it, and nothing older is expected to appear; it may be kept in the same
    commit. None: keep what is known.
    """

    items: Sequence[Any]
    last: bool
    server_date: datetime | None = None
    repairs: int = 0
    total: int | None = None
    validators: Validators | None = None
    not_before: datetime | None = None
    newest_id: str | None = None


class Provider(Protocol):
    """A provider, built from its options and an HTTP client. All but `outline`, `complete` and `normalise` ask for it.

    Raises `ProviderError` of the kind that says whose move it is.
    """

    slug: ClassVar[str]
    contract: ClassVar[Contract]

    def pages(self, window: Window) -> Iterator[Page]:
        """Every page of the window; the last one says so. May repeat rows, never leaves one out that stayed."""

    def changes(self, change: str, since: datetime) -> Iterator[Page]:
        """Every page of the rows that this happened to since; `change` is one of the contract's `later_changes`."""

    def fetch(self, external_id: str) -> Item | None:
        """One item as it is now, or None where the provider no longer has it. Only where the contract says `by_id`."""

    def acknowledge(self, external_ids: Sequence[str]) -> None:
        """Tell the provider that we hold these. Only where the contract says `acknowledges`."""

    def outline(self, item: Item, now: datetime) -> Outlined:
        """What `normalise` would say, as far as an outline goes; or all of it, where that costs no more. As pure.

        Raises ItemRejected without a usable id.
        """
        return self.normalise(item, now)

    def complete(self, outline: Outlined, now: datetime) -> Notification:
        """What `normalise` says of the item whose outline this is, and of which a hash was made. As pure."""
        return outline if isinstance(outline, Notification) else self.normalise(outline.raw, now)

    def normalise(self, item: Item, now: datetime) -> Notification:
        """The item in our words, by the provider's mapping table. Pure. Raises ItemRejected without a usable id."""
