"""What columns of several tables share."""

from sqlalchemy import BigInteger, Integer, text

BIG = BigInteger().with_variant(Integer, "sqlite")
"""For what grows without end; SQLite counts up by itself only in INTEGER."""

ZERO = {"server_default": "0"}
"""For columns that came later: workers of the version before write rows without them."""

GOING = text("paused_at IS NULL")
PENDING = text("status = 'pending'")
ENDED = text("status <> 'pending'")
CLAIMED = text("status = 'pending' AND claimed_until IS NOT NULL")
IN_A_BUCKET = text("bucket_id IS NOT NULL")
LOOSE = text("bucket_id IS NULL AND followed")
FOLLOWED = text("followed")
UNACKNOWLEDGED = text("followed AND acknowledged_at IS NULL")
EXPIRING = text("followed AND expires_at IS NOT NULL")
