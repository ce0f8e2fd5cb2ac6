"""A source: what every provider's sources have in common. A provider adds its own keys in a subclass."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from worker.settings.durations import Duration, within
from worker.settings.fields import Headers, Section, Url, Whole
from worker.settings.rate import WrittenRate
from worker.settings.secret import surroundings
from worker.settings.tls import AuthorityFile, ClientCertificate
from worker.settings.wording import close_to, quoted

_LEAP_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
_NEVER = timedelta()

Acknowledge = Literal["never", "stored", "delivered"]
"""Whether a provider is told that we hold its notifications, and when."""


def _cron(text: str) -> str:
    try:
        next(CronSim(text, _LEAP_YEAR))
    except (CronSimError, StopIteration):
        raise ValueError(f'{quoted(text)} is not a cron expression; write "*/5 8-18 * * mon-fri"') from None
    return text


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        meant = close_to(name, available_timezones())
        better = f'did you mean "{meant}"?' if meant else 'write "Europe/Amsterdam" or "UTC"'
        raise ValueError(f"{quoted(name)} is not a time zone; {better}") from None
    return name


def _start_at(value: object) -> Literal["now", "beginning"] | datetime:
    match value:
        case "now" | "beginning":
            return value
        case str():
            return _instant(value)
        case datetime():
            return _utc(value)
        case date():
            raise ValueError(f"{quoted(value)} has no time and no zone; write {value}T00:00:00Z")
    raise ValueError(f'{quoted(value)} is no time; write "now", "beginning" or 2026-01-31T12:00:00Z')


def _instant(text: str) -> datetime:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f'{quoted(text)} is no time; write "now", "beginning" or 2026-01-31T12:00:00Z') from None
    return _utc(read)


def _utc(read: datetime) -> datetime:
    if read.tzinfo is None:
        raise ValueError(f'{quoted(str(read))} has no zone; write "{read.isoformat()}Z" if it is UTC')
    try:
        return read.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{quoted(str(read))} is out of bounds") from None


class SourceSettings(Section):
    """`[sources.NAME]` (INTERFACE, section 1): the keys of every provider's sources.

    One of `every` and `cron` is set; with neither in the file, `every` is 60 s. `start_at` is a UTC instant or a word.
    `base_url` None: the provider's production address. `page_size` overrides what the contract asks for. `budget` is
    the requests that may be made with its credentials, by all sources that have the same; None: any number.
    """

    provider: str
    base_url: Annotated[Url | None, Field(repr=False)] = None
    cron: Annotated[str, AfterValidator(_cron)] | None = None
    every: Annotated[Duration, within(timedelta(seconds=1), timedelta(days=30))] | None = Field(
        default=None, validate_default=True
    )
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    start_at: Annotated[Literal["now", "beginning"] | datetime, BeforeValidator(_start_at)] = "now"
    acknowledge: Acknowledge = "never"
    track_for: Annotated[Duration, within(timedelta(seconds=1), timedelta(days=3650))] = timedelta(days=30)
    overlap: Annotated[Duration, within(_NEVER, timedelta(days=30))] = timedelta(minutes=10)
    headers: Headers = Field(default_factory=dict)
    client_certificate: ClientCertificate | None = None
    ca: AuthorityFile | None = None
    page_size: Annotated[Whole, Field(ge=1, le=10_000)] | None = None
    budget: WrittenRate | None = None

    @field_validator("acknowledge", mode="after")
    @classmethod
    def _can_be_told(cls, acknowledge: Acknowledge, info: ValidationInfo) -> Acknowledge:
        """Of a source whose provider isn't known, that alone is the problem."""
        can, provider = surroundings(info).acknowledging, info.data.get("provider")
        if acknowledge != "never" and can is not None and cls is not SourceSettings and provider not in can:
            raise ValueError(f'{provider} has no way to be told; write "never", or leave it out')
        return acknowledge

    @field_validator("every", mode="after")
    @classmethod
    def _every_or_cron(cls, every: timedelta | None, info: ValidationInfo) -> timedelta | None:
        if info.data.get("cron") is None:
            return every or timedelta(seconds=60)
        if every is not None:
            raise ValueError("write every or cron, not both")
        return None
