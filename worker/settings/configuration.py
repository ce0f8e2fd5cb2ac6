"""The whole configuration, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from worker.settings.description import Description
from worker.settings.durations import Duration, within
from worker.settings.endpoint import DeliverySettings, EndpointSettings
from worker.settings.fields import Section
from worker.settings.listening import Listening
from worker.settings.secret import Secret
from worker.settings.source import SourceSettings

_Kept = Annotated[Duration, within(timedelta(seconds=1), timedelta(days=36_500))]


class RetentionSettings(Section):
    """`[retention]`: how long what is closed and delivered is kept, and what is told of its attempts."""

    notifications: _Kept = timedelta(days=400)
    attempts: _Kept = timedelta(days=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The configuration, checked and complete: the addresses resolved, the endpoints' defaults filled in.

    `database` is SQLAlchemy's address; `key` are Fernet keys, the first is encrypted with, none: the database's own.
    `metrics` is where they are served, if at all. `path` is the file that was read; `warnings` are lines for the
    operator.
    """

    database: str = field(repr=False)
    broker: str = field(repr=False)
    key: tuple[Secret, ...]
    providers: Mapping[str, Description]
    sources: Mapping[str, SourceSettings]
    endpoints: Mapping[str, EndpointSettings]
    delivery: DeliverySettings
    retention: RetentionSettings
    path: Path
    metrics: Listening | None = None
    warnings: tuple[str, ...] = ()
