"""Ten thousand sources: those that are due by an index; a changed schedule is noticed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_GOING = sa.text("paused_at IS NULL")


def upgrade() -> None:
    op.add_column("source", sa.Column("schedule", sa.Text(), nullable=True))
    op.create_index("source_due", "source", ["next_poll_at"], postgresql_where=_GOING, sqlite_where=_GOING)
