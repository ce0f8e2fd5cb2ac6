"""Where kombu finds guard 1. By name: whoever works without Redis doesn't load what speaks to it."""

from kombu import transport

_ALIASES = ("redis", "rediss")


def guard_channels() -> None:
    """From now on, whoever connects to Redis through kombu in this process has a guarded channel.

    Also when somebody did so before: kombu remembers what it once found under a name.
    """
    for alias in _ALIASES:
        transport.TRANSPORT_ALIASES[alias] = "worker.broker.channel:Transport"
        transport._transport_cache.pop(alias, None)  # noqa: SLF001  # kombu forgets it in no other way
