"""What the configuration says, in the terms of the parts that act on it. Pure."""

from datetime import datetime, timedelta

from worker import cloudevents
from worker.interest import Interest
from worker.moment import Schedule, next_moment, tick
from worker.settings import EndpointSettings, Settings, SourceSettings
from worker.store.rooms import Allowance
from worker.store.roster import Configured
from worker.webhooks import signature
from worker.webhooks.target import Target

_BEYOND_TIMEOUT = timedelta(seconds=30)
_CONTENT_TYPES = {"standard": "application/json", cloudevents.FORMAT: cloudevents.CONTENT_TYPE}


def ticks(settings: Settings) -> dict[str, timedelta]:
    """How often each provider's sources are looked through."""
    schedules: dict[str, list[Schedule]] = {}
    for source in settings.sources.values():
        schedules.setdefault(source.provider, []).append(schedule(source))
    return {slug: tick(its) for slug, its in schedules.items()}


def longest_timeout(settings: Settings) -> timedelta:
    """How long a request to an endpoint may be open."""
    timeouts = [endpoint.timeout for endpoint in settings.endpoints.values()]
    return max(timeouts, default=settings.delivery.timeout)


def names(settings: Settings) -> dict[str, frozenset[str]]:
    """The names of each provider's sources."""
    of: dict[str, list[str]] = {}
    for name, source in settings.sources.items():
        of.setdefault(source.provider, []).append(name)
    return {slug: frozenset(its) for slug, its in of.items()}


def roster(settings: Settings, now: datetime) -> list[Configured]:
    """Every source, as it is to be known."""
    return [
        Configured(
            name=name,
            provider=source.provider,
            start_at=_start_at(source, now),
            schedule=schedule(source).words,
            moment=next_moment(name, schedule(source), now),
        )
        for name, source in settings.sources.items()
    ]


def schedule(source: SourceSettings) -> Schedule:
    """When a source is polled."""
    return Schedule(source.every, source.cron, source.timezone)


def interest(name: str, endpoint: EndpointSettings) -> Interest:
    """What an endpoint wants."""
    statuses = None if endpoint.statuses is None else tuple(status.value for status in endpoint.statuses)
    return Interest(
        endpoint=name,
        types=endpoint.types,
        sources=endpoint.sources,
        kinds=endpoint.kinds,
        statuses=statuses,
        format=endpoint.format,
        latest=endpoint.backlog == "latest",
    )


def allowance(endpoint: EndpointSettings) -> Allowance:
    """How much of an endpoint may be claimed at once. A claim outlasts the longest request (DELIVERY, section 1)."""
    return Allowance(
        max_in_flight=endpoint.max_in_flight,
        lease_for=endpoint.timeout + _BEYOND_TIMEOUT,
        rate=endpoint.rate_limit,
        format=endpoint.format,
        latest=endpoint.backlog == "latest",
    )


def target(name: str, endpoint: EndpointSettings, secrets: tuple[str, ...]) -> Target:
    """Where an endpoint is and how it is spoken to; `secrets` as they are written, `whsec_…` or `whsk_…`."""
    certificate = endpoint.client_certificate
    return Target(
        name=name,
        url=str(endpoint.url),
        headers={header: value.get_secret_value() for header, value in endpoint.headers.items()},
        secrets=tuple(signature.parse_key(secret) for secret in secrets),
        timeout=endpoint.timeout,
        connect_timeout=endpoint.connect_timeout,
        allow_networks=endpoint.allow_networks,
        ca=endpoint.ca,
        client_certificate=(certificate.certificate, certificate.key) if certificate else None,
        content_type=_CONTENT_TYPES[endpoint.format],
    )


def _start_at(source: SourceSettings, now: datetime) -> datetime | None:
    """INTERFACE, section 2: `now` is the moment the source was first seen."""
    if source.start_at == "beginning":
        return None
    return now if source.start_at == "now" else source.start_at
