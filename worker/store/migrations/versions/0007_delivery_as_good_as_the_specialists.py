"""Failing endpoints are probed, and opened again slowly; other formats, other signatures, replays."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
_TEXT = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    op.add_column("endpoint", sa.Column("probe_at", _INSTANT(), nullable=True))
    op.add_column("endpoint", sa.Column("probes", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("endpoint", sa.Column("opening_since", _INSTANT(), nullable=True))
    op.add_column("endpoint", sa.Column("warned", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("endpoint_secret", sa.Column("signing", _TEXT(), nullable=False, server_default="hmac"))
    op.create_table(
        "message_form",
        sa.Column("message_id", _TEXT(), sa.ForeignKey("message.id"), nullable=False, primary_key=True),
        sa.Column("format", _TEXT(), nullable=False, primary_key=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "replay",
        sa.Column("id", sa.Integer(), nullable=False, primary_key=True),
        sa.Column("endpoint_id", sa.Integer(), sa.ForeignKey("endpoint.id"), nullable=False),
        sa.Column("since_at", _INSTANT(), nullable=False),
        sa.Column("until_at", _INSTANT(), nullable=False),
        sa.Column("status", _TEXT(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("owed", sa.Integer(), nullable=False),
        sa.Column("done_at", _INSTANT(), nullable=True),
        sa.Column("done_id", _TEXT(), nullable=True),
        sa.Column("created_at", _INSTANT(), nullable=False),
        sa.Column("finished_at", _INSTANT(), nullable=True),
    )
    op.create_index("ix_replay_endpoint_id", "replay", ["endpoint_id"])
