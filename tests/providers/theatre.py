"""The sandbox with more stages: beside its three APIs, stand-ins for the providers that are known by description."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from tests.providers.standins import BORN, CHANGED, STANDINS
from worker.notification import Status
from worker.sandbox import Sandbox
from worker.sandbox.api import Api
from worker.sandbox.ledger import Row


class Theatre(Sandbox):
    """A context manager, as the sandbox is."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock)
        self._ours: Mapping[str, Api] = {api.slug: api for api in (standin(clock) for standin in STANDINS)}
        self.apis = {**self.apis, **self._ours}
        self._numbers = dict.fromkeys(self.apis, 0)

    def change(self, count: int = 1, provider: str | None = None) -> list[Row]:
        """The next state of rows that have one."""
        if provider is None or provider not in self._ours:
            return super().change(count, provider)
        ledger = self._ours[provider].ledger
        rows = (
            [row for row in ledger.visible() if row.state.status is Status.NEW][:count] if provider in CHANGED else []
        )
        return [ledger.change(row.external_id, *CHANGED[provider](row.raw, self.clock())) for row in rows]

    def _publish(self, provider: str | None, delay: timedelta) -> Row:
        if provider not in self._ours:
            return super()._publish(provider, delay)
        slug = str(provider)
        self._numbers[slug] += 1
        at = self.clock()
        external_id, raw = BORN[slug](self._random, self._numbers[slug], at)
        return self._ours[slug].ledger.publish(external_id, raw, occurred_at=at, delay=delay)
