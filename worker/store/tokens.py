"""Access tokens that all workers share: read, kept, and fetched by one at a time under a short lease."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import or_, update
from sqlmodel import Session, col, select

from worker.store.session import upsert
from worker.store.tables import TokenRow

LEASE_FOR = timedelta(seconds=45)
"""Longer than a request with its tries may take; whoever is killed while fetching holds up the others so long."""


@dataclass(frozen=True, slots=True)
class SealedToken:
    """A token as it is kept: `sealed` text, when a new one is to be fetched, and when it ends."""

    sealed: str = field(repr=False)
    renew_at: datetime
    expires_at: datetime


def kept(session: Session, fingerprint: str) -> SealedToken | None:
    """The token that was kept last."""
    row = session.exec(select(TokenRow).where(col(TokenRow.fingerprint) == fingerprint)).one_or_none()
    if row is None or row.sealed is None or row.renew_at is None or row.expires_at is None:
        return None
    return SealedToken(row.sealed, row.renew_at, row.expires_at)


def keep(session: Session, fingerprint: str, token: SealedToken) -> None:
    """Keep this one; a lease stays as it is."""
    values = {"sealed": token.sealed, "renew_at": token.renew_at, "expires_at": token.expires_at}
    added = upsert(session, TokenRow).values(fingerprint=fingerprint, **values)
    session.execute(added.on_conflict_do_update(index_elements=["fingerprint"], set_=values))


def acquire(session: Session, fingerprint: str, now: datetime) -> str | None:
    """The lease under which a new token is fetched, in one statement; None: another has it."""
    values = {"lease_token": uuid4().hex, "lease_until": now + LEASE_FOR}
    taken = (
        upsert(session, TokenRow)
        .values(fingerprint=fingerprint, **values)
        .on_conflict_do_update(
            index_elements=["fingerprint"],
            set_=values,
            where=or_(col(TokenRow.lease_until).is_(None), col(TokenRow.lease_until) <= now),
        )
        .returning(col(TokenRow.lease_token))
    )
    lease: str | None = session.execute(taken).scalar()
    return lease


def release(session: Session, fingerprint: str, lease: str) -> None:
    """Give the lease back, unless it ran out and is another's."""
    mine = update(TokenRow).where(col(TokenRow.fingerprint) == fingerprint, col(TokenRow.lease_token) == lease)
    session.execute(mine.values(lease_token=None, lease_until=None))
