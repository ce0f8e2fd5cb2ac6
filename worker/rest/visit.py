"""One pass's requests: what is sent with the first alone, and what the answers ask of us (POLLING, section 5)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from worker.errors import ContractBroken, RateLimited
from worker.provider import Contract, Order, Page, Validators, Window
from worker.rest.answers import Answer
from worker.rest.client import Client, Parameters
from worker.rest.trail import Reading

_MOST_ROWS = 200_000
"""More than that is not kept for a pass that may be cut short: some tens of megabytes."""


class _Asked(NamedTuple):
    path: str
    parameters: tuple[tuple[str, str | int], ...]


class Visit:
    """Asks for the pages of one pass, whichever way they are paged.

    `read` is what a way of paging asks with, `told` adds to its pages what the answers said besides:

        visit = Visit(client, contract, window)
        yield from visit.told(page_numbers(lambda number, size: visit.read(listed, "things", query(number, size)), …))

    An API that says that nothing has changed gave a complete, empty pass: to any way of paging it is an empty page
    that nothing follows.
    """

    def __init__(
        self,
        client: Client,
        contract: Contract,
        window: Window,
        lightly: Callable[[Reading], Reading] = lambda reading: reading,
    ) -> None:
        self._client, self._sent = client, window.validators
        self._answered, self._lightly = window.answered, lightly
        self._used_up_until: datetime | None = None
        self._grows_at_its_top = contract.order is Order.NEWEST_FIRST and not contract.from_id
        self._requests = self._rows = 0
        self._known_by: Validators | None = None
        self._not_before: datetime | None = None

    def read(self, listed: Callable[[Answer], Reading], path: str, parameters: Parameters = ()) -> Reading:
        """What one request gave, as `listed` reads it. Raises ProviderError as the client and `listed` do.

        Where an earlier poll of this pass has asked the same, its answer is given again. Raises RateLimited, instead of
        asking, once an answer said that nothing is left of a limit.
        """
        number, self._requests = self._requests, self._requests + 1
        asked = _Asked(path, tuple(parameters))
        if self._answered and number < len(self._answered.readings):
            return self._again(asked, *self._answered.readings[number])
        self._not_used_up()
        answer = self._client.get(asked.path, asked.parameters, None if number else self._sent)
        self._used_up_until = answer.used_up_until
        if answer.not_before is not None:
            self._not_before = max(self._not_before or answer.not_before, answer.not_before)
        reading = _nothing(answer) if answer.not_modified else listed(answer)
        if not number and (self._grows_at_its_top or not reading.rows):
            self._known_by = answer.validators
        self._keep(asked, reading)
        return reading

    def _again(self, asked: _Asked, before: _Asked, reading: Reading, known_by: Validators | None) -> Reading:
        """Raises ContractBroken where it was another request that was answered so."""
        if asked != before:
            raise ContractBroken("The pass could not be gone on with where it was cut short; it begins anew.")
        self._known_by = known_by
        return reading

    def _keep(self, asked: _Asked, reading: Reading) -> None:
        if not self._answered or not self._answered.whole:
            return
        self._rows += len(reading.rows)
        if self._rows > _MOST_ROWS:
            self._answered.readings.clear()
            self._answered.whole = False
            return
        self._answered.readings.append((asked, self._lightly(reading), self._known_by))

    def _not_used_up(self) -> None:
        if self._used_up_until is not None and (wait := self._used_up_until - self._client.now()) > timedelta():
            raise RateLimited("Its last answer said that nothing is left of a limit.", wait)

    def told(self, pages: Iterator[Page]) -> Iterator[Page]:
        """The pages; with the last one the first answer's validators, where these stand for the whole pass.

        They do if no later answer had anything more, and what is new would show in the first: it comes at the top, or
        there was nothing at all. A first page in another order, or of what follows an id, stays the same while rows are
        added after it.
        """
        beyond = False
        for number, page in enumerate(pages):
            beyond = beyond or (number > 0 and bool(page.items))
            known_by = self._known_by if page.last and not beyond else None
            yield replace(page, validators=known_by, not_before=self._not_before)


def _nothing(answer: Answer) -> Reading:
    return Reading(rows=[], server_date=answer.server_date, more=False)
