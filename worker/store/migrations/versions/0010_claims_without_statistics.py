"""Claims are quick before the first ANALYZE.

While PostgreSQL has no statistics, it believes that an endpoint has one pending delivery. Of two indexes that both find
it, it took `delivery_status_of_endpoint`, for each row that it looked at. With 60,000 pending, a claim of 400 ended at
the statement timeout of two minutes; now that no pending row is in that index it finds them in 3 ms. Making it anew
keeps writers of deliveries waiting: 0.65 s with 500,000 rows, on a busy machine.

Storage parameters are not in it: nothing that was measured speaks for them. 240,000 claims without any vacuum showed no
trend beyond the machine's noise, and neither did 100,000 with a lower scale factor, beside the default. Whether they
help after millions, or beside an old snapshot, was not measured. The fill factor can't: a claim moves the row in the
indexes that it goes by, so that no update is "hot" (0 % were).
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_INDEX = "delivery_status_of_endpoint"


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.drop_index(_INDEX, "delivery")
    op.create_index(_INDEX, "delivery", ["endpoint_id", "status"], postgresql_where=sa.text("status <> 'pending'"))
