"""`[providers.NAME]`: a JSON API, described so well that it can be polled (POLLING, section 8)."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from string import Formatter
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictInt, StrictStr, model_validator

from worker.notification import Status
from worker.settings.durations import Duration, within
from worker.settings.expression import Expression
from worker.settings.fields import Section, Url
from worker.settings.paging import Page, sent_twice
from worker.settings.wording import quoted

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")


def _path(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text or "#" in text or "?" in text:
        raise ValueError(f"{quoted(text)} is not a path; write /notifications, and what follows a ? under parameters")
    return text


def _list_path(text: str) -> str:
    if "{" in text or "}" in text:
        raise ValueError(f"{quoted(text)} has a place to fill in; only by_id has one")
    return _path(text)


def _by_id(text: str) -> str:
    try:
        places = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError:
        places = []
    if places != ["id"]:
        raise ValueError(f"{quoted(text)} has no place for the id; write /notifications/{{id}}")
    return _path(text)


def _map_entry(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


class MapEntry(Section):
    """A canonical field: where its value is, what the provider's words mean in ours, whether it is HTML."""

    path: Expression
    values: Mapping[str, str] = Field(default_factory=dict)
    html: StrictBool = False


class StatusEntry(Section):
    """Where the provider's word for the status is, and what it means. A word that isn't listed means `new`."""

    path: Expression
    values: Mapping[str, Status] = Field(default_factory=dict)


_Entry = Annotated[MapEntry, BeforeValidator(_map_entry)]


class Mapped(Section):
    """`[providers.NAME.map]`: the canonical fields of PROVIDERS, section 0.1."""

    kind: _Entry | None = None
    title: _Entry | None = None
    status: Annotated[StatusEntry, BeforeValidator(_map_entry)] | None = None
    provider_status: _Entry | None = None
    subject_type: _Entry | None = None
    subject_id: _Entry | None = None
    message: _Entry | None = None
    reason: _Entry | None = None
    occurred_at: _Entry | None = None
    updated_at: _Entry | None = None
    expires_at: _Entry | None = None
    read_at: _Entry | None = None
    closed_at: _Entry | None = None
    provider_delivered_at: _Entry | None = None
    correlation_id: _Entry | None = None


class Time(Section):
    """When an item happened, and how the list is filtered by it.

    `from` and `to` are the names of query parameters; `format` is how times are written in them, and read where an
    item has a number; `grain` the coarser of the precision of the two; `zone` what a text without a zone means.
    """

    field: Expression
    from_: Annotated[StrictStr | None, Field(alias="from", min_length=1)] = None
    to: Annotated[StrictStr, Field(min_length=1)] | None = None
    order: Literal["oldest_first", "newest_first", "unknown"] = "unknown"
    format: Literal["rfc3339", "epoch", "epoch_ms"] = "rfc3339"
    grain: Annotated[Duration, within(timedelta(milliseconds=1), timedelta(days=1))] = timedelta(seconds=1)
    zone: Literal["UTC"] | None = None

    @model_validator(mode="after")
    def _sent_once(self) -> Self:
        for problem in sent_twice(self.named()):
            raise ValueError(problem)
        return self

    def named(self) -> Iterator[tuple[str, str]]:
        """The query parameters that it is asked for by, each after the key that names it."""
        yield from ((key, name) for key, name in (("from", self.from_), ("to", self.to)) if name)


class Authorization(Section):
    """How a source's credentials are shown: a bearer `token`, a `token` in a header, or `username` and `password`."""

    kind: Literal["bearer", "header", "basic"]
    header: Annotated[StrictStr, Field(pattern=_HEADER.pattern)] = "Authorization"
    prefix: StrictStr = ""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.kind != "header" and self.model_fields_set & {"header", "prefix"}:
            raise ValueError('header and prefix belong to kind = "header"')
        return self


class Asking(Section):
    """What a page is asked for with. Its parts are checked against each other, whatever else is wrong."""

    page: Page
    time: Time | None = None
    parameters: Mapping[str, StrictStr | StrictInt] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        problems = [*self._endless(), *self._sent_twice()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _endless(self) -> Iterator[str]:
        time = self.time or Time(field="@")
        limited = self.page.kind == "none" and self.page.size
        if limited and not (time.from_ and (time.to or time.order == "oldest_first")):
            yield (
                "a list of one page of a limited size can't be read to its end; it needs time.from and time.to, "
                'or time.from with order = "oldest_first"'
            )

    def _sent_twice(self) -> Iterator[str]:
        named = [
            *((f"page.{key}", name) for key, name in self.page.named()),
            *((f"time.{key}", name) for key, name in (self.time.named() if self.time else ())),
        ]
        yield from sent_twice(named)
        for name in sorted({name for _, name in named} & set(self.parameters)):
            yield f"parameters.{name} is set for every page and can't be set here"


class Description(Asking):
    """An API. Only `path`, `id` and `page` are needed; without `base_url` each source names its own.

    `items` is where the items are in an answer (the answer itself), `item` where the one item is in an answer by id;
    `parameters` are sent with every request for a page; `closed` are the statuses after which nothing more happens;
    `volatile` the top-level members of an item whose change is no update; `keep_for` how long the API keeps an item.
    """

    base_url: Annotated[Url | None, Field(repr=False)] = None
    path: Annotated[StrictStr, AfterValidator(_list_path)]
    items: Expression = "@"
    id: Expression
    auth: Authorization | None = None
    by_id: Annotated[StrictStr, AfterValidator(_by_id)] | None = None
    item: Expression = "@"
    closed: tuple[Status, ...] = (Status.RESOLVED, Status.IGNORED)
    volatile: tuple[StrictStr, ...] = ()
    keep_for: Annotated[Duration, within(timedelta(hours=1), timedelta(days=36_500))] | None = None
    map: Mapped = Field(default_factory=Mapped)
