"""Clocks: the machine's, and one that is turned by hand."""

from datetime import UTC, datetime, timedelta


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


class HandClock:
    """Shows the same instant until somebody turns it."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        """What it shows."""
        return self.at

    def turn(self, by: timedelta) -> datetime:
        """So much later; the new instant."""
        self.at += by
        return self.at
