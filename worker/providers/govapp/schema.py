"""GovApp's words, and the shape of its answers (PROVIDERS, sections 3.3 to 3.6)."""

from datetime import datetime, timedelta
from typing import Final

from worker.errors import ContractBroken
from worker.notification import Status
from worker.rest.answers import Answer
from worker.rest.paging import Reading
from worker.rest.reading import external_id, instant, json_kind, member

KIND: Final = "push_notification"
TITLE: Final = "GovApp notification"
OPENED: Final = "OPENED"
ACTION_TAKEN: Final = "ACTION_TAKEN"
STATES: Final = {OPENED: Status.READ, "RECEIVED": Status.RECEIVED, "CREATED": Status.NEW}

CORRELATION: Final = "x-correlation-id"
CREATED_ON: Final = "createdOn"
EVENTS: Final = "events"


def row_id(row: object) -> str | None:
    """A row's id."""
    return external_id(member(row, "id"))


def created_on(row: object) -> datetime | None:
    """When a row was made; None without a zone."""
    return instant(member(row, CREATED_ON))


def listed(answer: Answer) -> Reading:
    """The rows of a list, `{totalAmount, notifications}`, the second absent when there are none.

    Raises ContractBroken for other shapes.
    """
    if not isinstance(answer.json, dict):
        raise ContractBroken(f"A list of notifications is an object; it answered {json_kind(answer.json)}.")
    rows, total = answer.json.get("notifications"), answer.json.get("totalAmount")
    if not isinstance(rows, list | None) or (rows is None and type(total) is not int):
        raise ContractBroken(f"A list of notifications has an array of that name; it answered {json_kind(rows)}.")
    return Reading(rows=rows or [], server_date=answer.server_date, total=total if type(total) is int else None)


def time_bound(at: datetime, time_format: str, *, up: bool = False) -> str:
    """An instant as the filters take it: `seconds`, rounded down or up, or `microseconds`."""
    if time_format == "microseconds":
        return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    rest = timedelta(microseconds=at.microsecond)
    whole = at - rest + (timedelta(seconds=1) if up and rest else timedelta())
    return whole.strftime("%Y-%m-%dT%H:%M:%SZ")
