"""Bookkeep's words, and the shape of its answers (PROVIDERS, sections 2.3 to 2.6)."""

from datetime import datetime
from typing import Any, Final

from worker.errors import ContractBroken
from worker.notification import Item, Status
from worker.rest.answers import Answer
from worker.rest.paging import Reading
from worker.rest.reading import external_id, instant, json_kind, member, text

PRODUCTION: Final = "https://api.bookkeep.com/v1"
UNKNOWN_URL: Final = "invalid_request_error"

STATES: Final = {"Pending": Status.NEW, "Ignored": Status.IGNORED, "Resolved": Status.RESOLVED}


def attribute(row: object, name: str) -> Any:
    """An attribute of a row."""
    return member(member(row, "attributes"), name)


def row_id(row: object) -> str | None:
    """A row's id, a string; else the integer among its attributes."""
    return external_id(member(row, "id")) or external_id(attribute(row, "id"))


def created_at(row: object) -> datetime | None:
    """When a row was made; None without a zone (section 2.5)."""
    return instant(attribute(row, "created_at"))


def listed(answer: Answer) -> Reading:
    """The rows of a list, `{data, meta: {pagination: {next, records}}, links: {next}}`.

    Whether a page follows is said by the presence of a next link; its address is never used (section 2.10). An answer
    without links and pagination doesn't say. Raises ContractBroken for other shapes.
    """
    rows = member(answer.json, "data")
    if not isinstance(rows, list):
        raise ContractBroken(f"A list of notifications has an array named data; it answered {json_kind(rows)}.")
    links, pagination = member(answer.json, "links"), member(member(answer.json, "meta"), "pagination")
    says = isinstance(links, dict) or isinstance(pagination, dict)
    follows = bool(member(links, "next") or member(pagination, "next"))
    records = member(pagination, "records")
    return Reading(
        rows=rows,
        server_date=answer.server_date,
        more=follows if says else None,
        total=records if type(records) is int else None,
    )


def single(answer: Answer) -> Item:
    """The one row of `{data: {…}}`. Raises ContractBroken for another shape."""
    row = member(answer.json, "data")
    if not isinstance(row, dict):
        raise ContractBroken(f"A single notification has an object named data; it answered {json_kind(row)}.")
    return row


def belongs(row: object, organization_id: int | None) -> bool:
    """Whether a row is of the organization asked for: filters that the API doesn't know, it ignores (section 2.10).

    A row that names no organization is kept.
    """
    named = text(attribute(row, "organization_id"))
    return organization_id is None or named is None or named == str(organization_id)
