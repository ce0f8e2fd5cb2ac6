"""The tables of what credentials are exchanged for."""

from datetime import datetime

from sqlalchemy import Text
from sqlmodel import Field, SQLModel


class TokenRow(SQLModel, table=True):
    """An access token that all workers share, sealed with TOCSIN_KEY, and the lease under which one fetches the next.

    `fingerprint` tells one grant from another and holds nothing secret. Without `sealed`, the first is being fetched.
    """

    __tablename__ = "token"

    fingerprint: str = Field(primary_key=True)
    sealed: str | None = Field(default=None, sa_type=Text)
    renew_at: datetime | None = None
    expires_at: datetime | None = None
    lease_token: str | None = None
    lease_until: datetime | None = None
