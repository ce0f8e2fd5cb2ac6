"""Where kombu finds our transports. By name: whoever works without Redis doesn't load what speaks to it."""

from kombu import transport

_ALIASES = ("redis", "rediss")


def guard_channels() -> None:
    """From now on, whoever connects to Redis through kombu in this process has guard 1, and memory wakes who waits.

    Also when somebody did so before: kombu remembers what it once found under a name.
    """
    ours = dict.fromkeys(_ALIASES, "worker.broker.channel:Transport") | {"memory": "worker.broker.awake:Transport"}
    for alias, name in ours.items():
        transport.TRANSPORT_ALIASES[alias] = name
        transport._transport_cache.pop(alias, None)  # noqa: SLF001  # kombu forgets it in no other way
