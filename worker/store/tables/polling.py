"""Tables of polling: sources, their notifications, and the ledger."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, Text, UniqueConstraint, false
from sqlmodel import Field, SQLModel

from worker.store.tables.columns import BIG, EXPIRING, FOLLOWED, GOING, IN_A_BUCKET, LOOSE, UNACKNOWLEDGED


class Source(SQLModel, table=True):
    """One pollable stream: what is committed of its progress, its lease, and how it fares.

    `etag`, `last_modified`: what the provider's last complete answer is known by. `newest_id`: the last id of an API
    that is read by ids. `changes_until`: up to then, by our clock, the provider was asked for later changes.
    `schedule`: when it is polled, in words, as last configured. `queued_until`: a poll was sent to the workers, and is
    not sent again until then. `reason`: why it fails or pauses. `said_failing_at`: when endpoints were told that it
    fails; null: or that it has recovered since.
    """

    __tablename__ = "source"
    __table_args__ = (
        Index("source_due", "next_poll_at", postgresql_where=GOING, sqlite_where=GOING),  # what is due; who waits
    )

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    provider: str
    created_at: datetime
    start_at: datetime | None
    schedule: str | None = Field(default=None, sa_type=Text)
    next_poll_at: datetime
    queued_until: datetime | None = None
    lease_token: str | None = None
    lease_until: datetime | None = None
    high_water: datetime | None = None
    clock_offset_s: float = 0.0
    covered_until: datetime | None = None
    etag: str | None = Field(default=None, sa_type=Text)
    last_modified: str | None = Field(default=None, sa_type=Text)
    newest_id: str | None = Field(default=None, sa_type=Text)
    changes_until: datetime | None = None
    last_poll_at: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    said_failing_at: datetime | None = None
    paused_at: datetime | None = None
    reason: str | None = Field(default=None, sa_type=Text)


class NotificationRow(SQLModel, table=True):
    """One notification, in its latest revision.

    `followed`: it is looked at again, as it is neither closed nor withdrawn; then it lies in a bucket, or is so young
    that every poll reads it. `tracked_since`: what the time for which it is followed counts from. `absences`: in how
    many readings of its bucket in a row it was not found; `withdrawn_at`: the provider no longer has it.
    `acknowledged_at`: the provider knows that we hold it.
    """

    __tablename__ = "notification"
    __table_args__ = (
        UniqueConstraint("source_id", "external_id"),  # also serves the look-up of a page's known hashes
        Index("notification_first_seen", "first_seen_at"),  # lists, newest first; pruning, oldest first
        Index("notification_occurred", "source_id", "occurred_at"),  # cutting buckets
        Index(
            "notification_of_bucket", "bucket_id", postgresql_where=IN_A_BUCKET, sqlite_where=IN_A_BUCKET
        ),  # the members of a bucket
        Index(
            "notification_loose", "source_id", "occurred_at", postgresql_where=LOOSE, sqlite_where=LOOSE
        ),  # what is followed and lies in no bucket
        Index(
            "notification_expiring", "source_id", "expires_at", postgresql_where=EXPIRING, sqlite_where=EXPIRING
        ),  # what is past its own date
        Index(
            "notification_tracked", "source_id", "tracked_since", postgresql_where=FOLLOWED, sqlite_where=FOLLOWED
        ),  # what was followed for long enough; cutting buckets of what has no time
        Index(
            "notification_unacknowledged",
            "source_id",
            "first_seen_at",
            postgresql_where=UNACKNOWLEDGED,
            sqlite_where=UNACKNOWLEDGED,
        ),  # what the provider is yet to be told that we hold
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
    followed: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    tracked_since: datetime | None = None
    bucket_id: int | None = Field(default=None, sa_type=BIG)
    withdrawn_at: datetime | None = None
    absences: int = 0
    acknowledged_at: datetime | None = None


class BucketRow(SQLModel, table=True):
    """A stretch of a source's time in which something is open; `look_again_at`: when it is read again.

    `dated`: a stretch of the provider's time; else it holds rows without one, and is a stretch of `tracked_since`.
    """

    __tablename__ = "bucket"
    __table_args__ = (
        Index("bucket_due", "source_id", "look_again_at"),  # the buckets to be read again
        Index("bucket_end", "source_id", "end_at"),  # the bucket around a moment, and the one before it
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BIG)
    source_id: int = Field(foreign_key="source.id")
    dated: bool
    start_at: datetime
    end_at: datetime
    look_again_at: datetime


class BackfillRow(SQLModel, table=True):
    """A source's past as it was asked for once, and what has come of it so far; its windows tell how far it is.

    `asked_until_at` None: up to then, which is `until_at`. `done_at`: all of it has been read.
    """

    __tablename__ = "backfill"
    __table_args__ = (Index("backfill_of_source", "source_id"),)  # the one that the same command goes on with

    id: int | None = Field(default=None, primary_key=True)
    source_id: int = Field(foreign_key="source.id")
    since_at: datetime
    until_at: datetime
    asked_until_at: datetime | None
    deliver: bool
    begun_at: datetime
    done_at: datetime | None = None
    pages: int = 0
    fetched: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    repairs: int = 0
    owed: int = 0


class BackfillWindow(SQLModel, table=True):
    """A stretch of a backfill's time: claimed by who reads it, done with the commit of its last page.

    Without bounds where the API has no filters.
    """

    __tablename__ = "backfill_window"
    __table_args__ = (Index("backfill_window_of", "backfill_id", "start_at"),)  # the next ones to be read

    id: int | None = Field(default=None, primary_key=True)
    backfill_id: int = Field(foreign_key="backfill.id")
    start_at: datetime | None
    end_at: datetime | None
    claim_token: str | None = None
    claimed_until: datetime | None = None
    done_at: datetime | None = None


class RejectedRow(SQLModel, table=True):
    """An item that could not be normalised, or that the database refused: kept raw, counted."""

    __tablename__ = "rejected_item"
    __table_args__ = (UniqueConstraint("source_id", "fingerprint"),)  # the same item again is counted, not kept twice

    id: int | None = Field(default=None, primary_key=True, sa_type=BIG)
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

    id: int | None = Field(default=None, primary_key=True, sa_type=BIG)
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
