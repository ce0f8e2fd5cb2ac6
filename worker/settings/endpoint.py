"""An endpoint, and the defaults of delivery that each endpoint may set for itself."""

from collections.abc import Collection
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from worker.notification import Status
from worker.settings.durations import Duration, within
from worker.settings.fields import (
    NOT_EMPTY,
    EndpointHeaders,
    Network,
    Section,
    Url,
    Whole,
)
from worker.settings.rate import WrittenRate
from worker.settings.secret import surroundings
from worker.settings.signing import Signing, SigningSecrets, each
from worker.settings.tls import AuthorityFile, ClientCertificate
from worker.settings.wording import either, quoted


def _known_sources(names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    known = surroundings(info).sources
    wrong = [] if known is None else [quoted(name) for name in names if name not in known]
    if wrong:
        are = "is not a source" if len(wrong) == 1 else "are not sources"
        raise ValueError(f"{', '.join(wrong)} {are}; known: {', '.join(sorted(known or ())) or 'none'}")
    return names


def _matches_a_type(pattern: str, info: ValidationInfo) -> str:
    known: Collection[str] | None = surroundings(info).known_types
    if known is not None and not any(fnmatchcase(name, pattern) for name in known):
        raise ValueError(f"{quoted(pattern)} matches no type of message; write {either(sorted(known))}, or wildcards")
    return pattern


_Pattern = Annotated[str, Field(min_length=1)]
_Deadline = Annotated[Duration, within(timedelta(milliseconds=100), timedelta(minutes=3))]
_Wait = Annotated[Duration, within(timedelta(milliseconds=1), timedelta(days=30))]
_SCHEDULE = tuple(timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400))


class DeliverySettings(Section):
    """`[delivery]`: what holds for every endpoint that doesn't say otherwise.

    `timeout` is from connecting to the last byte of the answer, and two of them fit into a task; `retry_schedule` the
    waits after attempts 1, 2, 3 ….
    """

    timeout: _Deadline = timedelta(seconds=15)
    connect_timeout: _Deadline = timedelta(seconds=5)
    retry_schedule: Annotated[tuple[_Wait, ...], Field(max_length=100)] = _SCHEDULE
    disable_after: Annotated[Duration, within(timedelta(seconds=1), timedelta(days=365))] = timedelta(days=5)


class EndpointSettings(DeliverySettings):
    """`[endpoints.NAME]` (INTERFACE, section 1); the keys of `[delivery]` are filled in from there.

    None: `sources` all, `kinds` all, `statuses` all, `secret` made once and stored, `rate_limit` none, `ca` the usual.
    """

    url: Annotated[Url, Field(repr=False)]
    signing: Signing = "hmac"
    secret: SigningSecrets | None = None
    sources: Annotated[tuple[str, ...], NOT_EMPTY, AfterValidator(_known_sources)] | None = None
    types: Annotated[tuple[Annotated[_Pattern, AfterValidator(_matches_a_type)], ...], NOT_EMPTY] = ("notification.*",)
    kinds: Annotated[tuple[_Pattern, ...], NOT_EMPTY] | None = None
    statuses: Annotated[tuple[Status, ...], NOT_EMPTY] | None = None
    max_in_flight: Annotated[Whole, Field(ge=1, le=500)] = 10
    rate_limit: WrittenRate | None = None
    headers: EndpointHeaders = Field(default_factory=dict)
    allow_networks: tuple[Network, ...] = ()
    format: Literal["standard", "cloudevents"] = "standard"
    backlog: Literal["all", "latest"] = "all"
    ca: AuthorityFile | None = None
    client_certificate: ClientCertificate | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The configured signing secrets, as they are written, newest first; none where one is made and stored."""
        return each(self.secret)
