"""Operational messages: that a source or an endpoint fails, that it has recovered, that it was disabled.

INTERFACE, section 4; CLARIFICATIONS, 17.

Each is owed in the transaction that changes what it tells of, so no crash loses or doubles one; and what was said is
remembered with the source, so that none is said again before the opposite was.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

import structlog
from sqlmodel import Session

from worker.condition import Turn, Turned
from worker.envelope import encode
from worker.intake import Subscription
from worker.interest import Interest, Topic, unwanted
from worker.moment import lags
from worker.report import endpoint_row, source_row
from worker.revision import MessageType
from worker.store import fates, outbox, said
from worker.store.conditions import Watch
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


@dataclass(frozen=True)
class Endpoints:
    """All that are configured: what they want to hear of, URLs without query and password, and how long each may fail.

    Without any, nobody is told, and none is given up.
    """

    interests: Sequence[Interest] = ()
    urls: Mapping[str, str] = field(default_factory=dict)
    disable_after: Mapping[str, timedelta] = field(default_factory=dict)

    @cached_property
    def listeners(self) -> frozenset[str]:
        """Those that ask to be told of endpoints."""
        return frozenset(one.endpoint for kind in set(_SAYS.values()) for one in _asking(self.interests, Topic(kind)))

    @cached_property
    def latest(self) -> frozenset[str]:
        """Those that want the latest revision alone."""
        return frozenset(one.endpoint for one in self.interests if one.latest)

    def watch(self, turned: list[Turned], now: datetime) -> Watch:
        """What recording does with them: what turned is owed in its transaction, and added to `turned`."""

        def tell(session: Session, one: Turned) -> None:
            turned.append(one)
            say_turned(session, self, one, now)

        return Watch(disable_after=self.disable_after, listeners=self.listeners, latest=self.latest, tell=tell)


_SAYS = {Turn.WARNED: MessageType.ENDPOINT_FAILING, Turn.DISABLED: MessageType.ENDPOINT_DISABLED}


def say_turned(session: Session, endpoints: Endpoints, one: Turned, now: datetime) -> int:
    """Owe what is to be said of an endpoint's turn to whom it concerns; how many deliveries are due now.

    The rows of all listeners are locked by now, with the endpoint's. One that is disabled can't be told of it.
    """
    kind = _SAYS.get(one.turn)
    asking = _asking(endpoints.interests, Topic(kind)) if kind else []
    if kind is None or not asking:
        return 0
    content = endpoint_row(one.endpoint, fates.of_endpoint(session, one.endpoint), endpoints.urls[one.endpoint])
    return _owe(session, Notice(kind, None, encode(kind, now, content)), asking, now)


def _say(session: Session, kind: MessageType, subscription: Subscription, now: datetime) -> int:
    """To nobody, nothing is said, and nothing counted. The row is the source's at this point of the transaction."""
    asking = _asking(subscription.interests, Topic(kind, subscription.source))
    if not asking:
        return 0
    fate = fates.of_source(session, subscription.source)
    content = source_row(subscription.source, fate, subscription.schedule, now)
    return _owe(session, Notice(kind, fate.row.id, encode(kind, now, content)), asking, now)


def _asking(interests: Sequence[Interest], topic: Topic) -> list[Interest]:
    return [interest for interest in interests if not unwanted(interest, topic)]


def _owe(session: Session, notice: Notice, asking: Sequence[Interest], now: datetime) -> int:
    formats = frozenset(interest.format for interest in asking)
    names = [interest.endpoint for interest in asking]
    return outbox.owe_notice(session, replace(notice, formats=formats), names, now)
