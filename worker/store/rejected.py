"""Rejected items: kept raw with the reason, counted, retried by hand (POLLING, section 6)."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete
from sqlmodel import Session, col, select

from worker.notification import RejectedItem
from worker.store.session import storable, upsert
from worker.store.tables import RejectedRow

_DEEPEST, _KEPT_LEVELS = 400, 50


def keep(session: Session, source_id: int, rejected: Iterable[RejectedItem], now: datetime) -> None:
    """Keep these; one that was kept before is counted again, and its reason is the newest."""
    rows = {row["fingerprint"]: row for row in (_row(source_id, item, now) for item in rejected)}
    if not rows:
        return
    statement = upsert(session, RejectedRow)
    again = {
        "reason": statement.excluded.reason,
        "last_seen_at": now,
        "count": RejectedRow.__table__.c["count"] + 1,  # type: ignore[attr-defined]
    }
    session.execute(
        statement.on_conflict_do_update(index_elements=["source_id", "fingerprint"], set_=again), list(rows.values())
    )


def ids_of(session: Session, source_id: int) -> Sequence[int]:
    """The ids of all that is kept of one source, oldest first."""
    kept = select(RejectedRow.id).where(col(RejectedRow.source_id) == source_id).order_by(col(RejectedRow.id))
    return [found for found in session.exec(kept) if found is not None]


def those(session: Session, ids: Sequence[int]) -> Sequence[RejectedRow]:
    """These, as far as they are still kept, oldest first."""
    return session.exec(select(RejectedRow).where(col(RejectedRow.id).in_(ids)).order_by(col(RejectedRow.id))).all()


def forget(session: Session, ids: Iterable[int]) -> None:
    """These were normalised after all."""
    session.execute(delete(RejectedRow).where(col(RejectedRow.id).in_(list(ids))))


def _written(raw: Any) -> str:
    """The item as JSON. One that is nested too deeply for whoever reads it is cut, and kept as text.

    Text is no item: retried, it stays rejected, and what was cut is never taken for what the provider sent.
    """
    return json.dumps(json.dumps(_cut(raw, _KEPT_LEVELS))) if _is_deep(raw) else json.dumps(raw)


def _is_deep(raw: Any) -> bool:
    """Level by level, because Python itself goes only so deep."""
    level = [raw]
    for _ in range(_DEEPEST):
        level = [member for value in level for member in _members(value)]
        if not level:
            return False
    return True


def _members(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _cut(value: Any, levels: int) -> Any:
    """The value without what lies deeper than so many levels."""
    if isinstance(value, dict):
        return {name: _cut(member, levels - 1) for name, member in value.items()} if levels else "…"
    if isinstance(value, list):
        return [_cut(member, levels - 1) for member in value] if levels else "…"
    return value


def _row(source_id: int, item: RejectedItem, now: datetime) -> dict[str, object]:
    raw = _written(item.raw)
    fingerprint = hashlib.sha256(raw.encode()).hexdigest()
    return {
        "source_id": source_id, "fingerprint": fingerprint, "reason": storable(item.reason), "raw": raw,
        "first_seen_at": now, "last_seen_at": now, "count": 1,
    }  # fmt: skip
