"""How much may wait in a queue of Redis: more is not sent.

Why: what has expired stays in its list until a worker takes it. While no worker takes any, a beat that goes on fills
Redis within hours, 1.1 KB for each tick; and then none can start any more, for that takes a write. Nothing is lost by
holding back: what is due stands in the database, and one tick finds all of it.

A tick looks before it is sent, and so does the nudge after a poll, which goes to another queue than the one it came
from, and only where that is empty: a sweep that waits there finds what this poll owes too. Were there one for each
commit, a busy worker would take them later and later, until each had expired before it was taken, and sweep no more.
The polls that a tick sends don't: they go to its own queue, so whoever takes ticks takes them too; and a source
that is on its way is not sent again for ten seconds.
"""

from typing import Any, Final

from kombu.exceptions import OperationalError

MOST: Final = 1000
"""As many polls as one tick sends at most, about 1.1 MB. Workers that are at work drop so many that expired in a few
seconds, so that nobody notices that a tick was held back."""


def has_room(producer: Any, queue: str, most: int = MOST) -> bool:
    """Whether fewer than `most` wait in the queue; one in memory ends with its process, and takes all.

    Raises OperationalError, as sending does.
    """
    connection = producer.connection
    if connection.transport.driver_type != "redis":
        return True
    try:
        return int(producer.channel.client.llen(queue)) < most
    except (*connection.connection_errors, *connection.channel_errors) as error:
        raise OperationalError(str(error)) from error
