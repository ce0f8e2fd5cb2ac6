"""Whether this process is measured: what counts its work, and what answers those who ask for the counts."""

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from worker.errors import ConfigurationError
from worker.health import look, told
from worker.meter import UNMETERED, Meter
from worker.settings import Listening, Places
from worker.wiring import House

if TYPE_CHECKING:
    from worker.metrics import Counting, Server

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which prometheus_client, here and in forked children, knows where they count together."""


class AddressTaken(ConfigurationError):
    """Another process listens there already."""


class Measuring:
    """The metrics of this process and of those that it forks; nothing at all until they are begun."""

    def __init__(self) -> None:
        self._counting: Counting | None = None
        self._server: Server | None = None

    @property
    def meter(self) -> Meter:
        """What the spines tell of their work."""
        return self._counting or UNMETERED

    def begin(self, wanted: Listening | None, slot: Callable[[], object] | None = None) -> None:
        """Count from now on, if metrics are wanted. `slot`: what tells apart the processes that are forked later."""
        if wanted is None:
            return
        from worker.metrics import Counting, shared_folder  # noqa: PLC0415  # only whoever is measured pays for it

        if slot:
            os.environ[_FOLDER] = str(shared_folder())
        self._counting = Counting(slot)

    def serve(self, home: House) -> None:
        """Answer on the configured address, if metrics were begun. Raises ConfigurationError, AddressTaken."""
        wanted = home.settings.metrics
        if wanted is None or self._counting is None:
            return
        from worker.metrics import Server, Stored, health_page, metrics_page  # noqa: PLC0415  # as above

        configured = home.settings.sources, home.settings.endpoints
        stored = Stored(home.database, *configured, home.clock)
        self._counting.registry.register(stored)
        places = Places(home.settings.database, home.settings.broker)
        pages = {
            "/metrics": metrics_page(self._counting.registry, stored.look),
            "/healthz": health_page(lambda: told(look(places, home.clock))),
        }
        try:
            self._server = Server(wanted, pages)
        except OSError as error:
            why = f"metrics: can't listen on {wanted}: {error.strerror or error}"
            raise (AddressTaken if error.errno == errno.EADDRINUSE else ConfigurationError)([why]) from None

    def close(self) -> None:
        """Answer no more."""
        if self._server:
            self._server.close()
            self._server = None
