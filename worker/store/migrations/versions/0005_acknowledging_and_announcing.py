"""What providers are yet to be told that we hold; what endpoints were told of sources."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_UNACKNOWLEDGED = sa.text("followed AND acknowledged_at IS NULL")


def upgrade() -> None:
    op.add_column("source", sa.Column("said_failing_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
    op.create_index(
        "notification_unacknowledged",
        "notification",
        ["source_id", "first_seen_at"],
        postgresql_where=_UNACKNOWLEDGED,
        sqlite_where=_UNACKNOWLEDGED,
    )
