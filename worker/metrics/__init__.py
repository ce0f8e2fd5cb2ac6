"""Metrics, as Prometheus reads them: counted by each process, and read from the database where that is the truth.

Only the processes of a configuration with `metrics` import this: it costs memory, and a while to load.
"""

from worker.metrics.counting import Counting
from worker.metrics.folder import shared_folder
from worker.metrics.reading import Stored
from worker.metrics.serving import Server, health_page, metrics_page

__all__ = ["Counting", "Server", "Stored", "health_page", "metrics_page", "shared_folder"]
