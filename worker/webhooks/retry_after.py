"""`Retry-After`: seconds or a date (RFC 9110, section 10.2.3)."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_LONGEST = timedelta(days=36_525)


def parse_retry_after(text: str, now: datetime) -> timedelta | None:
    """How long to wait from `now`; None where the text is neither seconds nor a date, or the date has passed.

    Not capped by policy; beyond a century is a century.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        digits = text.lstrip("0")
        return _LONGEST if len(digits) > len("3155760000") else min(timedelta(seconds=int(digits or "0")), _LONGEST)
    try:
        at = parsedate_to_datetime(text)
        wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    return min(wait, _LONGEST) if wait >= timedelta(0) else None
