"""Operational messages of a source: that it fails, that it has recovered (INTERFACE, section 4; CLARIFICATIONS, 17).

Each is owed in the transaction that changes what it tells of, so no crash loses or doubles one; and what was said is
remembered with the source, so that none is said again before the opposite was.
"""

from collections.abc import Callable, Collection
from datetime import datetime

import structlog
from sqlmodel import Session

from worker.envelope import encode
from worker.intake import Subscription
from worker.interest import Topic, unwanted
from worker.moment import lags
from worker.report import source_row
from worker.revision import MessageType
from worker.store import fates, outbox, said
from worker.store.outbox import Notice
from worker.store.session import Database

_AT_ONCE = 100
_log = structlog.get_logger("announce")


def failing(session: Session, subscription: Subscription, now: datetime) -> int:
    """Owe `source.failing` to whom it concerns; how many deliveries are due now."""
    return _say(session, MessageType.SOURCE_FAILING, subscription, now)


def recovered(session: Session, subscription: Subscription, now: datetime) -> int:
    """Owe `source.recovered` to whom it concerns; how many deliveries are due now."""
    return _say(session, MessageType.SOURCE_RECOVERED, subscription, now)


def lagging(
    database: Database, names: Collection[str], subscription: Callable[[str], Subscription], now: datetime
) -> list[str]:
    """Say of these sources that they fail, where more than three intervals have passed without a word (POLLING, 7).

    Only of those that were sent to a worker in vain: what was never sent, as in a process that has just started, is
    about to be polled. Returns their names. One short transaction each, so that no two sources' rows are held at once.
    """
    with database.reading() as session:
        waiting = [each for each in said.waiting(session, now) if each.name in names]
    told = []
    for each in waiting[:_AT_ONCE]:
        about = subscription(each.name)
        if lags(each.name, about.schedule, each.covered_until or each.created_at, now):
            with database.transaction() as session:
                if said.say_failing(session, each.name, now):
                    failing(session, about, now)
                    told.append(each.name)
    for name in told:
        _log.warning("source.lagging", source=name)
    return told


def _say(session: Session, kind: MessageType, subscription: Subscription, now: datetime) -> int:
    """To nobody, nothing is said, and nothing counted. The row is the source's at this point of the transaction."""
    topic = Topic(kind, subscription.source)
    asking = [interest.endpoint for interest in subscription.interests if not unwanted(interest, topic)]
    if not asking:
        return 0
    fate = fates.of_source(session, subscription.source)
    content = source_row(subscription.source, fate, subscription.schedule, now)
    return outbox.owe_notice(session, Notice(kind, fate.row.id, encode(kind, now, content)), asking, now)
