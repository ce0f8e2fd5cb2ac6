"""The tables (DESIGN, section 4). No methods: only `store/` builds rows, and constraints stand here.

Every instant is aware and UTC. Text that is JSON is written in ASCII escapes, so that any database takes any item.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, LargeBinary, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

_BIG = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER counts up by itself there
_PENDING = text("status = 'pending'")
_CLAIMED = text("status = 'pending' AND claimed_until IS NOT NULL")
_LOOKED_AT_AGAIN = text("look_again_at IS NOT NULL")


class Source(SQLModel, table=True):
    """One pollable stream: what is committed of its progress, its lease, and how it fares.

    `queued_until`: a poll was sent to the workers, and is not sent again until then. `reason`: why it fails or pauses.
    """

    __tablename__ = "source"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    provider: str
    created_at: datetime
    start_at: datetime | None
    next_poll_at: datetime
    queued_until: datetime | None = None
    lease_token: str | None = None
    lease_until: datetime | None = None
    high_water: datetime | None = None
    clock_offset_s: float = 0.0
    covered_until: datetime | None = None
    last_poll_at: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    paused_at: datetime | None = None
    reason: str | None = Field(default=None, sa_type=Text)


class NotificationRow(SQLModel, table=True):
    """One notification, in its latest revision. `look_again_at` and `absences` serve POLLING, section 4."""

    __tablename__ = "notification"
    __table_args__ = (
        UniqueConstraint("source_id", "external_id"),  # also serves the look-up of a page's known hashes
        Index("notification_first_seen", "first_seen_at"),  # lists, newest first; pruning, oldest first
        Index(
            "notification_look_again",
            "source_id",
            "look_again_at",
            postgresql_where=_LOOKED_AT_AGAIN,
            sqlite_where=_LOOKED_AT_AGAIN,
        ),  # what of a source is to be looked at again
    )

    id: UUID = Field(primary_key=True)
    source_id: int = Field(foreign_key="source.id")
    external_id: str = Field(sa_type=Text)
    revision: int
    content_hash: str
    message_id: str
    kind: str | None = Field(sa_type=Text)
    title: str | None = Field(sa_type=Text)
    status: str
    provider_status: str | None = Field(sa_type=Text)
    subject_type: str | None = Field(sa_type=Text)
    subject_id: str | None = Field(sa_type=Text)
    message: str | None = Field(sa_type=Text)
    reason: str | None = Field(sa_type=Text)
    occurred_at: datetime | None
    updated_at: datetime | None
    expires_at: datetime | None
    read_at: datetime | None
    closed_at: datetime | None
    provider_delivered_at: datetime | None
    correlation_id: str | None = Field(sa_type=Text)
    events: str = Field(sa_type=Text)
    raw: str = Field(sa_type=Text)
    first_seen_at: datetime
    delivered_at: datetime | None = None
    look_again_at: datetime | None = None
    absences: int = 0


class Message(SQLModel, table=True):
    """One revision as sent: sealed bytes, the same for all endpoints. Operational messages have no notification."""

    __tablename__ = "message"
    __table_args__ = (
        Index("message_of_notification", "notification_id", "revision"),  # `notifications show`; pruning
        Index("message_created", "created_at"),  # replay of a range
    )

    id: str = Field(primary_key=True)
    type: str
    source_id: int | None = Field(default=None, foreign_key="source.id")
    notification_id: UUID | None = Field(default=None, foreign_key="notification.id")
    revision: int
    kind: str | None = Field(default=None, sa_type=Text)
    status: str | None = None
    body: bytes = Field(sa_type=LargeBinary)
    created_at: datetime


class EndpointRow(SQLModel, table=True):
    """What is known of a receiver beyond its configuration. All of it is shared by every worker.

    `due_at`: nothing of it is due before; null: nothing is due at all. `slow_until`: it asked to be left alone,
    `slowed` times in a row. `paced_until`: up to here its rate limit is used up.
    """

    __tablename__ = "endpoint"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    created_at: datetime
    due_at: datetime | None = None
    paced_until: datetime | None = None
    slow_until: datetime | None = None
    slowed: int = 0
    failures: int = 0
    failing_since: datetime | None = None
    disabled_at: datetime | None = None
    reason: str | None = Field(default=None, sa_type=Text)


class EndpointSecret(SQLModel, table=True):
    """A signing secret that we made, sealed with TOCSIN_KEY. In force until `retired_at`."""

    __tablename__ = "endpoint_secret"

    id: int | None = Field(default=None, primary_key=True)
    endpoint_id: int = Field(foreign_key="endpoint.id", index=True)  # the secrets of one endpoint
    sealed: str = Field(sa_type=Text)
    created_at: datetime
    retired_at: datetime | None = None


class Delivery(SQLModel, table=True):
    """One message owed to one endpoint. `attempts` over its whole life; `round` since it was last owed.

    `notification_id` and `revision` repeat the message's, for the order of revisions.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("message_id", "endpoint_id"),
        CheckConstraint("status IN ('pending', 'delivered', 'exhausted', 'skipped')", name="delivery_status"),
        Index(
            "delivery_due", "endpoint_id", "next_attempt_at", "id", postgresql_where=_PENDING, sqlite_where=_PENDING
        ),  # the claim: an endpoint's due rows, longest waiting first
        Index(
            "delivery_order",
            "endpoint_id",
            "notification_id",
            "revision",
            postgresql_where=_PENDING,
            sqlite_where=_PENDING,
        ),  # the claim: is an earlier revision still pending?
        Index(
            "delivery_open", "endpoint_id", "claimed_until", postgresql_where=_CLAIMED, sqlite_where=_CLAIMED
        ),  # the claim: how many requests are open, and when leases end
        Index("delivery_of_notification", "notification_id"),  # `notifications show`; pruning
        Index("delivery_status_of_endpoint", "endpoint_id", "status"),  # the counts of `status`
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=_BIG)
    message_id: str = Field(foreign_key="message.id")
    endpoint_id: int = Field(foreign_key="endpoint.id")
    notification_id: UUID | None = Field(default=None, foreign_key="notification.id")
    revision: int
    status: str
    reason: str | None = None
    trigger: str
    attempts: int = 0
    round: int = 0
    next_attempt_at: datetime | None = None
    claim_token: str | None = None
    claimed_until: datetime | None = None
    created_at: datetime
    delivered_at: datetime | None = None
    last_outcome: str | None = None
    last_status_code: int | None = None


class Attempt(SQLModel, table=True):
    """One HTTP request made for a delivery. Append-only."""

    __tablename__ = "attempt"
    __table_args__ = (
        Index("attempt_of_delivery", "delivery_id", "number"),  # `notifications show`
        Index("attempt_started", "started_at"),  # pruning
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=_BIG)
    delivery_id: int = Field(foreign_key="delivery.id", sa_type=_BIG)
    number: int
    trigger: str
    started_at: datetime
    duration_ms: int
    outcome: str
    status_code: int | None
    response_excerpt: str | None = Field(sa_type=Text)


class RejectedRow(SQLModel, table=True):
    """An item that could not be normalised, or that the database refused: kept raw, counted."""

    __tablename__ = "rejected_item"
    __table_args__ = (UniqueConstraint("source_id", "fingerprint"),)  # the same item again is counted, not kept twice

    id: int | None = Field(default=None, primary_key=True, sa_type=_BIG)
    source_id: int = Field(foreign_key="source.id")
    fingerprint: str
    reason: str = Field(sa_type=Text)
    raw: str = Field(sa_type=Text)
    first_seen_at: datetime
    last_seen_at: datetime
    count: int = 1


class PollRun(SQLModel, table=True):
    """The ledger: what each poll covered and found. Without `finished_at` it runs, or was cut off."""

    __tablename__ = "poll_run"
    __table_args__ = (
        Index("poll_run_of_source", "source_id", "started_at"),  # what a source did lately
        Index("poll_run_started", "started_at"),  # pruning
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=_BIG)
    source_id: int = Field(foreign_key="source.id")
    started_at: datetime
    finished_at: datetime | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    pages: int = 0
    fetched: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    repairs: int = 0
    error: str | None = Field(default=None, sa_type=Text)
