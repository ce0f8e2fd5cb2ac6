"""`tocsin metrics`: what the database says, for Prometheus, from a process that does nothing else."""

import signal
from threading import Event

from worker.cli.scope import settings
from worker.errors import ConfigurationError
from worker.measuring import Measuring
from worker.wiring import House


def metrics() -> None:
    """Answer /metrics and /healthz on the configured address, until SIGTERM: for an installation of many processes.

    Its gauges are of the whole installation, and there whether or not a worker is; what workers count, they answer.
    """
    home, ended, measuring = House(settings()), Event(), Measuring()
    if home.settings.metrics is None:
        raise ConfigurationError(['metrics: where? write metrics = "127.0.0.1:9464", or set TOCSIN_METRICS'])
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, lambda *_: ended.set())
    try:
        measuring.begin(home.settings.metrics)
        measuring.serve(home)
        ended.wait()
        measuring.close()
    finally:
        home.close()
