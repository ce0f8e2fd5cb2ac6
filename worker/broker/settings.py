"""What Celery is told: the settings that held when they were tried (CELERY.md, section 2)."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from kombu import Queue

POLL, DELIVER = "poll", "deliver"
"""The queues: neither keeps the other waiting."""

TASK_TIME_LIMIT = timedelta(minutes=9)
VISIBILITY_TIMEOUT = timedelta(minutes=10)
"""A task that ran for longer would be started again while it runs, so its limit is shorter. Threads have no limit: what
is started twice there finds a lease, or a claim, and does nothing."""

SETTINGS: Mapping[str, Any] = MappingProxyType(
    {
        # JSON, UTC, and nothing kept of what a task returns
        "accept_content": ["json"],
        "task_serializer": "json",
        "enable_utc": True,
        "timezone": "UTC",
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "result_backend": None,
        # two queues; a third is a mistake
        "task_queues": [Queue(name, routing_key=name) for name in (POLL, DELIVER)],
        "task_routes": {"poll.*": {"queue": POLL}, "retention.*": {"queue": POLL}, "deliver.*": {"queue": DELIVER}},
        "task_default_queue": POLL,
        "task_create_missing_queues": False,
        # a task is over when it has ended, and a child that was killed has not ended it
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_time_limit": TASK_TIME_LIMIT.total_seconds(),
        "worker_prefetch_multiplier": 1,
        # told to end at once (SIGQUIT), it gives what is open a while; SIGTERM is broker/ending.py's
        "worker_soft_shutdown_timeout": 20,
        # the broker may be away: at the start, for ever, and while we publish
        "broker_connection_retry_on_startup": True,
        "broker_connection_retry": True,
        "broker_connection_max_retries": None,
        "broker_pool_acquire_timeout": 10,
        "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0, "interval_max": 0.1},
        # its pub/sub connection is one of those that notice that Redis died
        "worker_enable_remote_control": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": False,
        "beat_scheduler": "schedules.scheduler:Scheduler",
        "beat_max_loop_interval": 1,
    }
)

_TO_REDIS = MappingProxyType(
    {
        "visibility_timeout": VISIBILITY_TIMEOUT.total_seconds(),
        # what a dead worker held comes back five seconds after its time, not a hundred
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "global_keyprefix": "tocsin:",
        # a connection whose other end is gone without a word is noticed in half a minute: a worker has four or five of
        # them, and waits for one after another (with 10 s each: 31 to 41 s until it works again)
        "socket_timeout": 4,
        "socket_connect_timeout": 4,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }
)


def broker_settings(broker: str) -> dict[str, Any]:
    """What depends on the broker: its address, and Redis's own options."""
    if broker.startswith("memory:"):
        return {"broker_url": "memory://localhost/"}
    return {"broker_url": broker, "broker_transport_options": dict(_TO_REDIS)}
