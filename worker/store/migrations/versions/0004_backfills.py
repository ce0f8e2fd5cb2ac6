"""Backfills: a source's past in windows."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COUNTS = ("pages", "fetched", "new", "changed", "unchanged", "rejected", "repairs", "owed")


def upgrade() -> None:
    op.create_table(
        "backfill",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("source_id", sa.Integer(), sa.ForeignKey("source.id"), nullable=False),
        sa.Column("since_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("until_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("asked_until_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("deliver", sa.Boolean(), nullable=False),
        sa.Column("begun_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("done_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in _COUNTS),
    )
    op.create_index("backfill_of_source", "backfill", ["source_id"])
    op.create_table(
        "backfill_window",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("backfill_id", sa.Integer(), sa.ForeignKey("backfill.id"), nullable=False),
        sa.Column("start_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("end_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("claim_token", sqlmodel.AutoString(), nullable=True),
        sa.Column("claimed_until", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("done_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    )
    op.create_index("backfill_window_of", "backfill_window", ["backfill_id", "start_at"])
