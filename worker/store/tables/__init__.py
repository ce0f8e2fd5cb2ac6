"""The tables (DESIGN, section 4). No methods: only `store/` builds rows, and constraints stand here.

Every instant is aware and UTC. Text that is JSON is written in ASCII escapes, so that any database takes any item.
"""

from worker.store.tables.credentials import TokenRow
from worker.store.tables.delivering import Attempt, Delivery, EndpointRow, EndpointSecret, Form, Message, Replay
from worker.store.tables.living import Heartbeat
from worker.store.tables.polling import (
    BackfillRow,
    BackfillWindow,
    BucketRow,
    NotificationRow,
    PollRun,
    RejectedRow,
    Source,
)

__all__ = [
    "Attempt",
    "BackfillRow",
    "BackfillWindow",
    "BucketRow",
    "Delivery",
    "EndpointRow",
    "EndpointSecret",
    "Form",
    "Heartbeat",
    "Message",
    "NotificationRow",
    "PollRun",
    "RejectedRow",
    "Replay",
    "Source",
    "TokenRow",
]
