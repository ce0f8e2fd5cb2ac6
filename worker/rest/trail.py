"""What one pass over an API's pages has seen: rows, so that jumps are noticed, and requests, so that it ends."""

import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from worker.errors import ContractBroken
from worker.provider import Page

Key = Callable[[Any], str | None]
"""A row's id, or None where it has none that can be used."""

_ALLOWANCE = 100
_REQUESTS_A_ROW = 8


@dataclass(frozen=True, slots=True)
class Reading:
    """What one request gave. `more`: whether the API says that a page follows; None: it doesn't say.

    `total` is the API's count of all rows; `next` the address of the next page, or its cursor, where the API gives one.
    """

    rows: Sequence[Any]
    server_date: datetime | None = None
    more: bool | None = None
    total: int | None = None
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """A page of a pass, and the whole reading that it was made of."""

    page: Page
    reading: Reading


class Trail:
    """The rows that a pass was given, by identity: the id, or the whole content of a row that has none.

    `patience`: how many times the usual number of requests may be in vain. A row is `confirmed` once nothing can lie
    unseen between it and those before it; until then it is only told.
    """

    def __init__(self, key: Key, patience: int = 1) -> None:
        self._key, self._patience = key, patience
        self._told: set[Hashable] = set()
        self._tentative: set[Hashable] = set()
        self._requests = 0
        self._idle = 0

    def __len__(self) -> int:
        return len(self._told)

    def identities(self, rows: Sequence[Any]) -> tuple[Hashable, ...]:
        """What tells rows apart, one each."""
        keys = tuple(map(self._key, rows))
        return tuple(map(self._identity, rows)) if None in keys else keys

    def confirmed(self, row: Any) -> bool:
        """Whether the row was seen before, with nothing unseen before it."""
        identity = self._identity(row)
        return identity in self._told and identity not in self._tentative

    def known(self, row: Any) -> bool:
        """Whether the row was seen before at all."""
        return self._identity(row) in self._told

    def confirm(self, rows: Sequence[Any]) -> None:
        """Nothing lies unseen between these and those before them."""
        self._tentative.difference_update(self.identities(rows))

    def confirm_all(self) -> None:
        """Nothing lies unseen between any of the rows that were given so far."""
        self._tentative.clear()

    def same(self, rows: Sequence[Any], others: Sequence[Any]) -> bool:
        """Whether these are the same rows in the same order."""
        return self.identities(rows) == self.identities(others)

    def page(self, reading: Reading, *, confirmed: bool = True, last: bool = False, repairs: int = 0) -> Page:
        """The page of one reading: the rows that the pass was not given before. Rows of one page are not compared.

        Raises ContractBroken when the pass asks and asks and gets nothing for it.
        """
        identities = self.identities(reading.rows)
        fresh = [row for row, identity in zip(reading.rows, identities, strict=True) if identity not in self._told]
        self._count(len(fresh))
        if confirmed:
            self._tentative.difference_update(identities)
        else:
            self._tentative.update(identity for identity in identities if identity not in self._told)
        self._told.update(identities)
        return Page(items=fresh, last=last, server_date=reading.server_date, repairs=repairs, total=reading.total)

    def _count(self, fresh: int) -> None:
        """A pass may go back to its beginning once in a while, so what is in vain is measured against its length."""
        self._requests += 1
        self._idle = 0 if fresh else self._idle + 1
        fruitful = self._requests - self._idle
        most = self._patience * (_ALLOWANCE + _REQUESTS_A_ROW * len(self._told))
        if self._requests > most or self._idle > self._patience * (_ALLOWANCE + 3 * fruitful):
            raise ContractBroken(f"Its pages have no end: {self._requests} requests gave {len(self._told)} rows.")

    def _identity(self, row: Any) -> Hashable:
        key = self._key(row)
        if key is not None:
            return key
        try:
            return "row", json.dumps(row, sort_keys=True)
        except RecursionError:
            return "row", None


def nothing_more(trail: Trail, reading: Reading) -> None:
    """The same page came for different positions, so this is all there is. Raises ContractBroken if it can't be."""
    if reading.total is not None and reading.total > len(trail):
        raise ContractBroken(f"It says it has {reading.total} rows and gives the same {len(trail)} again and again.")
