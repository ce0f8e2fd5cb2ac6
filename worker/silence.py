"""Why an endpoint has a message, or hasn't: each revision of a notification, at each endpoint, in words. Pure.

No silence is without its reason: what an endpoint did not get waits, was given up or skipped, is not wanted, or was
made when nobody knew that it would be.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from worker.delivery import DeliveryStatus
from worker.interest import Interest, objection
from worker.notification import rfc3339
from worker.store.reach import Made, Reach
from worker.store.tables import Delivery, EndpointRow

UNWANTED, MISSING = "unwanted", "missing"


@dataclass(frozen=True, slots=True)
class Told:
    """One revision at one endpoint. `status`: its delivery's; without one, unwanted or missing."""

    revision: int
    message_id: str
    endpoint: str
    status: str
    explanation: str


def explain(reach: Reach, interests: Sequence[Interest], now: datetime) -> list[Told]:
    """Every revision at every endpoint, those too that are no longer configured: in the order of `reach`."""
    configured = {interest.endpoint: interest for interest in interests}
    return [
        _told(made, endpoint, _Scene(reach, configured.get(endpoint.name), now))
        for made in reach.messages
        for endpoint in reach.endpoints
    ]


@dataclass(frozen=True, slots=True)
class _Scene:
    """What an endpoint's part is seen in. `interest` None: it is no longer configured."""

    reach: Reach
    interest: Interest | None
    now: datetime


def _told(made: Made, endpoint: EndpointRow, scene: _Scene) -> Told:
    delivery = scene.reach.deliveries.get((made.id, endpoint.id or 0))
    if delivery is None:
        status, why = _never_owed(made, endpoint, scene.interest)
    else:
        status, why = delivery.status, _owed(delivery, endpoint, scene)
    return Told(made.revision, made.id, endpoint.name, status, why)


def _never_owed(made: Made, endpoint: EndpointRow, interest: Interest | None) -> tuple[str, str]:
    if interest is None:
        return MISSING, "it was not owed when it was made, and the endpoint is no longer configured"
    if why := objection(interest, made.topic):
        return UNWANTED, f"not wanted: {why}"
    again = f"tocsin replay --endpoint {endpoint.name} --since {rfc3339(made.made_at)}"
    if endpoint.created_at > made.made_at:
        known = rfc3339(endpoint.created_at)
        return MISSING, f"the endpoint did not exist yet when it was made (it does since {known}): {again}"
    return MISSING, f"not wanted by the configuration under which it was made; the present one wants it: {again}"


def _owed(delivery: Delivery, endpoint: EndpointRow, scene: _Scene) -> str:
    match delivery.status:
        case DeliveryStatus.DELIVERED:
            times = "" if delivery.attempts == 1 else f", at attempt {delivery.attempts}"
            return f"delivered at {rfc3339(delivery.delivered_at)}{times}"
        case DeliveryStatus.PENDING:
            return "; ".join(_waits(delivery, endpoint, scene))
        case DeliveryStatus.EXHAUSTED:
            return f"given up after {_last(delivery)}: tocsin redeliver {delivery.id}"
        case _:
            return f"skipped: {delivery.reason}: tocsin redeliver {delivery.id}"


def _waits(delivery: Delivery, endpoint: EndpointRow, scene: _Scene) -> Iterator[str]:
    """Everything that it waits for; what only a person can mend comes first."""
    now = scene.now
    if scene.interest is None:
        yield "the endpoint is no longer configured"
    if endpoint.disabled_at:
        yield f"the endpoint is disabled ({endpoint.reason}): tocsin endpoints enable {endpoint.name}"
    if _is_open(delivery, now):
        yield f"attempt {delivery.attempts + 1} is being made"
        return
    if before := _before(delivery, scene.reach.deliveries, now):
        yield f"waits for revision {before.revision}"
    if endpoint.slow_until and endpoint.slow_until > now:
        yield f"the endpoint asked to be left alone until {rfc3339(endpoint.slow_until)}"
    if endpoint.probe_at:
        since = rfc3339(endpoint.failing_since)
        yield f"the endpoint fails since {since}, and is asked again with one request at {rfc3339(endpoint.probe_at)}"
    yield _due(delivery, endpoint, now)


def _due(delivery: Delivery, endpoint: EndpointRow, now: datetime) -> str:
    after = f", after {_last(delivery)}" if delivery.last_outcome else ""
    if delivery.next_attempt_at and delivery.next_attempt_at > now:
        return f"next attempt at {rfc3339(delivery.next_attempt_at)}{after}"
    due = f"due since {rfc3339(delivery.next_attempt_at)}{after}"
    if endpoint.opening_since:
        recovered = rfc3339(endpoint.opening_since)
        return f"{due}; the endpoint has recovered at {recovered}, and its backlog goes out faster and faster"
    if endpoint.paced_until and endpoint.paced_until > now:
        return f"{due}; its rate limit is used up until {rfc3339(endpoint.paced_until)}"
    return due


def _before(delivery: Delivery, owed: Mapping[tuple[str, int], Delivery], now: datetime) -> Delivery | None:
    """The revision that goes out before this one: an earlier one that is pending, or any that is open."""
    others = (
        other
        for (_, endpoint_id), other in owed.items()
        if endpoint_id == delivery.endpoint_id and other is not delivery and other.status == DeliveryStatus.PENDING
    )
    first = sorted((each for each in others if each.revision < delivery.revision or _is_open(each, now)), key=_revision)
    return first[0] if first else None


def _revision(delivery: Delivery) -> int:
    return delivery.revision


def _is_open(delivery: Delivery, now: datetime) -> bool:
    return delivery.claimed_until is not None and delivery.claimed_until > now


def _last(delivery: Delivery) -> str:
    """Its last attempt, and what it came to."""
    answer = f"answered {delivery.last_status_code}" if delivery.last_status_code is not None else None
    return f"attempt {delivery.attempts} ({answer or (delivery.last_outcome or 'unknown').replace('_', ' ')})"
