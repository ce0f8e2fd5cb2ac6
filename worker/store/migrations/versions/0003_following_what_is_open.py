"""Following what is open: buckets, absences, withdrawals; what a provider's last answer is known by."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_IN_A_BUCKET = sa.text("bucket_id IS NOT NULL")
_LOOSE = sa.text("bucket_id IS NULL AND followed")
_FOLLOWED = sa.text("followed")
_EXPIRING = sa.text("followed AND expires_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "bucket",
        sa.Column("id", _BIG, primary_key=True),
        sa.Column("source_id", sa.Integer(), sa.ForeignKey("source.id"), nullable=False),
        sa.Column("dated", sa.Boolean(), nullable=False),
        sa.Column("start_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("end_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("look_again_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    )
    op.create_index("bucket_due", "bucket", ["source_id", "look_again_at"])
    op.create_index("bucket_end", "bucket", ["source_id", "end_at"])
    for name in ("etag", "last_modified", "newest_id"):
        op.add_column("source", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("source", sa.Column("changes_until", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
    op.drop_index("notification_look_again", "notification")
    op.drop_column("notification", "look_again_at")
    op.add_column("notification", sa.Column("bucket_id", _BIG, nullable=True))
    for name in ("tracked_since", "withdrawn_at", "acknowledged_at"):
        op.add_column("notification", sa.Column(name, sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
    op.add_column("notification", sa.Column("followed", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute(
        "UPDATE notification SET tracked_since = coalesce(occurred_at, first_seen_at),"
        " followed = status IN ('new', 'received', 'read')"
    )
    op.create_index("notification_occurred", "notification", ["source_id", "occurred_at"])
    for name, columns, where in (
        ("notification_of_bucket", ["bucket_id"], _IN_A_BUCKET),
        ("notification_loose", ["source_id", "occurred_at"], _LOOSE),
        ("notification_expiring", ["source_id", "expires_at"], _EXPIRING),
        ("notification_tracked", ["source_id", "tracked_since"], _FOLLOWED),
    ):
        op.create_index(name, "notification", columns, postgresql_where=where, sqlite_where=where)
