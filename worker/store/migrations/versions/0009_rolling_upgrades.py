"""The schema says which versions before it may go on at it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tocsin_schema", sa.Column("compatible_since", sa.String(32), nullable=True))
