"""Every setting of CELERY.md, section 2, stands in the app that workers and beats are made of."""

from datetime import timedelta

import pytest
from celery import Celery

from worker.broker.settings import SETTINGS, TASK_TIME_LIMIT, VISIBILITY_TIMEOUT, broker_settings

_TABLE = {
    "task_ignore_result": True,
    "task_store_errors_even_if_ignored": False,
    "accept_content": ["json"],
    "task_serializer": "json",
    "enable_utc": True,
    "timezone": "UTC",
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    "worker_enable_remote_control": True,
    "worker_soft_shutdown_timeout": 20,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_pool_acquire_timeout": 10,
    "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0, "interval_max": 0.1},
    "task_default_queue": "poll",
    "task_create_missing_queues": False,
    "task_time_limit": 540.0,
    "beat_scheduler": "schedules.scheduler:Scheduler",
}
_OF_REDIS = {
    "visibility_timeout": 600.0,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "global_keyprefix": "tocsin:",
    "socket_timeout": 4,
    "socket_connect_timeout": 4,
    "socket_keepalive": True,
    "health_check_interval": 10,
}


@pytest.mark.parametrize("name", _TABLE)
def test_a_setting_is_as_it_held_when_it_was_tried(name: str) -> None:
    assert _TABLE[name] == SETTINGS[name]


def test_redis_is_spoken_to_with_the_options_that_held() -> None:
    address = "rediss://redis.example:6379/1"
    assert {"broker_url": address, "broker_transport_options": _OF_REDIS} == broker_settings(address)


def test_there_is_no_result_backend() -> None:
    assert SETTINGS["result_backend"] is None


def test_there_are_two_queues() -> None:
    assert ["poll", "deliver"] == [queue.name for queue in SETTINGS["task_queues"]]


def test_what_is_for_one_queue_is_for_no_other() -> None:
    assert ["poll", "deliver"] == [queue.routing_key for queue in SETTINGS["task_queues"]]


@pytest.mark.parametrize(
    ("task", "queue"),
    [("poll.tick", "poll"), ("poll.source", "poll"), ("retention.prune", "poll"), ("deliver.sweep", "deliver")],
)
def test_each_task_goes_to_its_queue(task: str, queue: str) -> None:
    app = Celery("any", set_as_current=False)
    app.conf.update(SETTINGS)
    assert queue == app.amqp.router.route({}, task)["queue"].name


def test_a_task_ends_before_it_would_be_started_again() -> None:
    assert TASK_TIME_LIMIT + timedelta(seconds=30) <= VISIBILITY_TIMEOUT


def test_a_broker_in_memory_has_no_options() -> None:
    assert {"broker_url": "memory://localhost/"} == broker_settings("memory://")
