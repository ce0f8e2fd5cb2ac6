"""Tables of delivery: messages, endpoints, what is owed, and what was attempted."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from worker.store.tables.columns import BIG, CLAIMED, ENDED, PENDING, ZERO


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


class Form(SQLModel, table=True):
    """A message in another format than the standard one: sealed bytes too, the same for all endpoints that want it."""

    __tablename__ = "message_form"

    message_id: str = Field(primary_key=True, foreign_key="message.id")
    format: str = Field(primary_key=True)
    body: bytes = Field(sa_type=LargeBinary)


class EndpointRow(SQLModel, table=True):
    """What is known of a receiver beyond its configuration. All of it is shared by every worker.

    `due_at`: nothing of it is due before; null: nothing is due at all. `slow_until`: it asked to be left alone,
    `slowed` times in a row. `paced_until`: up to here its rate limit is used up. `failures`: attempts that failed in a
    row, since `failing_since`. `probe_at`: it fails, and one request at a time asks whether it still does, then;
    `probes`: how many of these failed in a row. `opening_since`: it has recovered, and its backlog goes out at a pace
    that doubles each second since. `warned`: the last percentage of the way to being disabled that was told of.
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
    probe_at: datetime | None = None
    probes: int = Field(default=0, sa_column_kwargs=ZERO)
    opening_since: datetime | None = None
    warned: int = Field(default=0, sa_column_kwargs=ZERO)
    disabled_at: datetime | None = None
    reason: str | None = Field(default=None, sa_type=Text)


class EndpointSecret(SQLModel, table=True):
    """A signing secret that we made, sealed with TOCSIN_KEY. In force until `retired_at`."""

    __tablename__ = "endpoint_secret"

    id: int | None = Field(default=None, primary_key=True)
    endpoint_id: int = Field(foreign_key="endpoint.id", index=True)  # the secrets of one endpoint
    sealed: str = Field(sa_type=Text)
    signing: str = Field(default="hmac", sa_column_kwargs={"server_default": "hmac"})
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
            "delivery_due", "endpoint_id", "next_attempt_at", "id", postgresql_where=PENDING, sqlite_where=PENDING
        ),  # the claim: an endpoint's due rows, longest waiting first
        Index(
            "delivery_order",
            "endpoint_id",
            "notification_id",
            "revision",
            postgresql_where=PENDING,
            sqlite_where=PENDING,
        ),  # the claim: is an earlier revision still pending?
        Index(
            "delivery_open", "endpoint_id", "claimed_until", postgresql_where=CLAIMED, sqlite_where=CLAIMED
        ),  # the claim: how many requests are open, and when leases end
        Index("delivery_of_notification", "notification_id"),  # `notifications show`; pruning
        Index(
            "delivery_status_of_endpoint", "endpoint_id", "status", postgresql_where=ENDED
        ),  # the counts of `status`; not what is pending, or a claim might take it before the first ANALYZE
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BIG)
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

    id: int | None = Field(default=None, primary_key=True, sa_type=BIG)
    delivery_id: int = Field(foreign_key="delivery.id", sa_type=BIG)
    number: int
    trigger: str
    started_at: datetime
    duration_ms: int
    outcome: str
    status_code: int | None
    response_excerpt: str | None = Field(sa_type=Text)


class Replay(SQLModel, table=True):
    """A range of messages, owed to an endpoint again by hand. One row a range, so that it resumes after a kill.

    Messages made from `since_at` up to `until_at`; all up to (`done_at`, `done_id`) are done. `total` is how many there
    are, `owed` how many of them were owed so far.
    """

    __tablename__ = "replay"

    id: int | None = Field(default=None, primary_key=True)
    endpoint_id: int = Field(foreign_key="endpoint.id", index=True)  # the unfinished one of an endpoint
    since_at: datetime
    until_at: datetime
    status: str | None = None
    total: int
    owed: int = 0
    done_at: datetime | None = None
    done_id: str | None = None
    created_at: datetime
    finished_at: datetime | None = None
