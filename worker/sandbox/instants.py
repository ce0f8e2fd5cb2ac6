"""Timestamps as the three providers write them (PROVIDERS 1.7, 2.7, 3.7)."""

from datetime import UTC, datetime


def seconds(at: datetime) -> str:
    """Realtime Register: `2023-09-08T11:01:10Z`."""
    return _shown(at, "seconds")


def millis(at: datetime) -> str:
    """Bookkeep: `2024-06-06T13:47:41.491Z`."""
    return _shown(at, "milliseconds")


def micros(at: datetime) -> str:
    """GovApp: `2022-09-29T07:38:49.523617Z`."""
    return _shown(at, "microseconds")


def parsed(value: object) -> datetime | None:
    """The instant of a provider's text; None for what is no RFC 3339 time."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at if at is None or at.tzinfo else None


def _shown(at: datetime, precision: str) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=precision) + "Z"
