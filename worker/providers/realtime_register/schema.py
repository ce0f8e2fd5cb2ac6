"""Realtime Register's words, and the shape of its answers (PROVIDERS, sections 1.3 to 1.6)."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from worker.errors import ContractBroken
from worker.rest.answers import Answer
from worker.rest.paging import Reading
from worker.rest.reading import external_id, instant, json_kind, member

PRODUCTION: Final = "https://api.yoursrs.com/v2"
NO_OBJECT: Final = "ObjectDoesNotExist"

ID: Final = "id"
FIRED: Final = "fireDate"
READ: Final = "readDate"
ACKNOWLEDGED: Final = "acknowledgeDate"
DELIVERED: Final = "deliveryDate"


def row_id(row: object) -> str | None:
    """A row's id."""
    return external_id(member(row, ID))


def time_of(field: str, row: object) -> datetime | None:
    """A time of a row, by which rows can be filtered and ordered; the API documents UTC (section 1.7)."""
    return instant(member(row, field), zone=UTC)


def listed(answer: Answer) -> Reading:
    """The rows of a list, `{entities, pagination: {limit, offset, total}}`. Raises ContractBroken for other shapes.

    A bare array is read too, as the vendor's own PHP client does (section 1.4).
    """
    body = {"entities": answer.json} if isinstance(answer.json, list) else answer.json
    rows: Any = member(body, "entities")
    if not isinstance(rows, list):
        found = json_kind(rows) if isinstance(body, dict) else json_kind(body)
        raise ContractBroken(f"A list of notifications has an array named entities; it answered {found}.")
    total = member(member(body, "pagination"), "total")
    return Reading(rows=rows, server_date=answer.server_date, total=total if type(total) is int else None)


def back_at(error: object) -> datetime | None:
    """When the API is back, of the error `{type: "ProviderUnavailable", message, startDate, endDate}` (section 1.9)."""
    return instant(member(error, "endDate"), zone=UTC)


def time_bound(at: datetime) -> str:
    """An instant as the API writes them: whole seconds, cut (section 1.7)."""
    return (at - timedelta(microseconds=at.microsecond)).strftime("%Y-%m-%dT%H:%M:%SZ")
