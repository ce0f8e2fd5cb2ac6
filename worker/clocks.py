"""The clocks of a notification: occurred → seen → stored → first attempt → delivered (DELIVERY, section 6). Pure.

Seen is when the page that has it arrived, and stored is the commit that follows; a message's `made_at` is the instant
both begin with. What occurred is on the provider's clock, and is brought to ours by the offset that was measured.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from worker.delivery import Attempted, DeliveryStatus, Trigger
from worker.revision import Revision

_ZERO = timedelta()
_BY_ITSELF = frozenset({Trigger.FIRST, Trigger.RETRY})


@dataclass(frozen=True, slots=True)
class Spread:
    """How long some waited: how many, and the wait that half, and that 95 in 100 of them did not pass."""

    count: int
    median: timedelta
    p95: timedelta


def spread(waits: Iterable[timedelta]) -> Spread | None:
    """The spread of these waits, by the nearest rank; None: there are none."""
    ranked = sorted(waits)
    if not ranked:
        return None
    return Spread(len(ranked), _at(ranked, 50), _at(ranked, 95))


def seen_after(occurred_at: datetime, seen_at: datetime, offset: timedelta) -> timedelta:
    """How long it took to be seen; `offset` is the provider's clock minus ours. Never negative: clocks are coarse."""
    return max(_ZERO, seen_at + offset - occurred_at)


def waited(
    revisions: Sequence[Revision], since: datetime | None, seen_at: datetime, offset: timedelta
) -> list[timedelta]:
    """What each new notification of a page waited to be seen. What occurred before `since` could not be seen sooner."""
    dates = [one.item.notification.occurred_at for one in revisions if one.number == 1]
    return [seen_after(at, seen_at, offset) for at in dates if at and (since is None or at >= since)]


def first_attempt_after(one: Attempted) -> timedelta | None:
    """From stored to the first attempt; None: this is another one, or somebody asked for it."""
    if one.due.attempt != 1 or one.due.trigger is not Trigger.FIRST or one.due.probe:
        return None
    return max(_ZERO, one.outcome.started_at - one.due.made_at)


def delivered_after(one: Attempted) -> timedelta | None:
    """From stored to delivered; None: it wasn't, or somebody asked for it again, so that the wait would be theirs."""
    if one.verdict.delivered_at is None or one.due.trigger not in _BY_ITSELF:
        return None
    return max(_ZERO, one.verdict.delivered_at - one.due.made_at)


def seconds(wait: timedelta | None) -> float | None:
    """For JSON: seconds, to the millisecond."""
    return None if wait is None else round(wait.total_seconds(), 3)


def figures(name: str, found: Spread | None) -> dict[str, float | None]:
    """Two members of a JSON row, `<name>_median_s` and `<name>_p95_s`; null where nothing was measured."""
    return {
        f"{name}_median_s": seconds(found.median if found else None),
        f"{name}_p95_s": seconds(found.p95 if found else None),
    }


def of_notification(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The clocks of one notification as `notifications show` has it: a row for each delivery, in the same order.

    A later revision occurred when the provider changed it, where that is known: only the last one's date is.
    """
    made = {each["message_id"]: each["made_at"] for each in row["revisions"]}
    shown = []
    for delivery in row["delivery_rows"]:
        stored_at = made.get(delivery["message_id"])
        occurred_at = _occurred(row, delivery["revision"])
        attempts = delivery["attempt_rows"]
        first_at = attempts[0]["started_at"] if attempts and attempts[0]["number"] == 1 else None
        delivered_at = delivery["delivered_at"] if delivery["status"] == DeliveryStatus.DELIVERED else None
        shown.append({
            "delivery_id": delivery["id"],
            "endpoint": delivery["endpoint"],
            "revision": delivery["revision"],
            "occurred_at": occurred_at,
            "stored_at": stored_at,
            "first_attempt_at": first_at,
            "delivered_at": delivered_at,
            "occurred_to_stored_s": _between(occurred_at, stored_at),
            "stored_to_first_attempt_s": _between(stored_at, first_at),
            "stored_to_delivered_s": _between(stored_at, delivered_at),
        })  # fmt: skip
    return shown


def _occurred(row: Mapping[str, Any], revision: int) -> str | None:
    if revision == 1:
        return row["occurred_at"]  # type: ignore[no-any-return]  # a row is JSON
    return row["updated_at"] if revision == row["revision"] else None


def _between(earlier: str | None, later: str | None) -> float | None:
    if earlier is None or later is None:
        return None
    return seconds(max(_ZERO, datetime.fromisoformat(later) - datetime.fromisoformat(earlier)))


def _at(ranked: Sequence[timedelta], percent: int) -> timedelta:
    return ranked[max(0, -(-len(ranked) * percent // 100) - 1)]
