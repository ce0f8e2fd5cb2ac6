"""Migrations that are not there yet, in a folder given by value."""

from pathlib import Path

from worker.store.head import HEAD

NEXT = f"{int(HEAD) + 1:04}"
_MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "{next}", "{head}", None, None
{marks}

def upgrade() -> None:
    {deeds}
"""
EXPANDING = (
    'op.add_column("source", sa.Column("region", sa.Text(), nullable=True))',
    'op.add_column("delivery", sa.Column("weight", sa.Integer(), nullable=False, server_default="1"))',
    'op.add_column("endpoint", sa.Column("region", sa.Text(), nullable=False, server_default="here"))',
    'op.create_table("region", sa.Column("name", sa.Text(), primary_key=True))',
    'op.create_index("delivery_weight", "delivery", ["weight"])',
)
CONTRACTING = ('op.drop_column("endpoint", "warned")',)


def migration(folder: Path, *deeds: str, survived_by: str | None = None) -> Path:
    """The folder, with the next migration in it."""
    folder.mkdir(exist_ok=True)
    marks = f'survived_by = "{survived_by}"' if survived_by else ""
    text = _MIGRATION.format(next=NEXT, head=HEAD, marks=marks, deeds="\n    ".join(deeds))
    (folder / f"{NEXT}_the_next.py").write_text(text, encoding="utf-8")
    return folder
