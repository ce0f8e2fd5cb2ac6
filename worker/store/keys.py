"""Signing secrets that we made, sealed: kept, rotated, and sealed anew under another key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, or_, update
from sqlmodel import Session, col, select

from worker.store.tables import EndpointRow, EndpointSecret, TokenRow


@dataclass(frozen=True, slots=True)
class KeptSecret:
    """One of an endpoint's secrets. In force until `retired_at`; None: until it is rotated."""

    signing: str
    sealed: str = field(repr=False)
    retired_at: datetime | None


def in_force(session: Session, names: Sequence[str], now: datetime) -> Mapping[str, tuple[KeptSecret, ...]]:
    """The secrets of these endpoints that are in force, newest first; of one without any, nothing."""
    row = EndpointSecret
    still = or_(col(row.retired_at).is_(None), col(row.retired_at) > now)
    found = session.execute(
        select(row, EndpointRow.name)
        .join(EndpointRow, col(EndpointRow.id) == col(row.endpoint_id))
        .where(col(EndpointRow.name).in_(names), still)
        .order_by(col(row.id).desc())
    ).all()
    kept: dict[str, tuple[KeptSecret, ...]] = {}
    for secret, name in found:
        kept[name] = (*kept.get(name, ()), KeptSecret(secret.signing, secret.sealed, secret.retired_at))
    return kept


def lock(session: Session, name: str) -> int:
    """The endpoint's row, locked, so that of two processes one makes its secret; its id."""
    locked = select(EndpointRow.id).where(col(EndpointRow.name) == name).with_for_update(key_share=True)
    return session.exec(locked).one() or 0


def keep(session: Session, endpoint_id: int, signing: str, sealed: str, now: datetime) -> None:
    """Keep another secret of an endpoint that the caller has locked."""
    session.add(EndpointSecret(endpoint_id=endpoint_id, sealed=sealed, signing=signing, created_at=now))
    session.flush()


def keep_first(session: Session, name: str, signing: str, sealed: str, now: datetime) -> bool:
    """Keep the endpoint's first secret of that kind. False if it has one: another process was quicker."""
    endpoint_id = lock(session, name)
    if any(kept.signing == signing for kept in in_force(session, [name], now).get(name, ())):
        return False
    keep(session, endpoint_id, signing, sealed, now)
    return True


def retire(session: Session, endpoint_id: int, signing: str, at: datetime, now: datetime) -> None:
    """Let the endpoint's secrets of that kind be in force up to `at` at most; those that are no more go."""
    ours = (col(EndpointSecret.endpoint_id) == endpoint_id, col(EndpointSecret.signing) == signing)
    later = or_(col(EndpointSecret.retired_at).is_(None), col(EndpointSecret.retired_at) > at)
    session.execute(update(EndpointSecret).where(*ours, later).values(retired_at=at))
    session.execute(delete(EndpointSecret).where(*ours, col(EndpointSecret.retired_at) <= now))


def sealed_secrets(session: Session, after: int, limit: int) -> Sequence[tuple[int, str, str]]:
    """Every secret behind that id, also retired ones: its id, its endpoint's name, its sealed text."""
    row = EndpointSecret
    found = (
        select(row.id, EndpointRow.name, row.sealed)
        .join(EndpointRow, col(EndpointRow.id) == col(row.endpoint_id))
        .where(col(row.id) > after)
        .order_by(col(row.id))
        .limit(limit)
        .with_for_update(of=row)
    )
    return [(identity or 0, name, sealed) for identity, name, sealed in session.exec(found)]


def reseal_secret(session: Session, identity: int, sealed: str) -> None:
    """The same secret, sealed anew."""
    session.execute(update(EndpointSecret).where(col(EndpointSecret.id) == identity).values(sealed=sealed))


def sealed_tokens(session: Session, after: str, limit: int) -> Sequence[tuple[str, str]]:
    """Every token behind that fingerprint: its fingerprint, its sealed text."""
    row = TokenRow
    found = (
        select(row.fingerprint, row.sealed)
        .where(col(row.fingerprint) > after, col(row.sealed).is_not(None))
        .order_by(col(row.fingerprint))
        .limit(limit)
        .with_for_update()
    )
    return [(fingerprint, sealed or "") for fingerprint, sealed in session.exec(found)]


def reseal_token(session: Session, fingerprint: str, sealed: str) -> None:
    """The same token, sealed anew."""
    session.execute(update(TokenRow).where(col(TokenRow.fingerprint) == fingerprint).values(sealed=sealed))


def all_sealed(session: Session) -> Sequence[str]:
    """Every sealed text there is."""
    secrets = session.exec(select(EndpointSecret.sealed)).all()
    return [*secrets, *filter(None, session.exec(select(TokenRow.sealed)).all())]
