"""A claim's cost doesn't grow with what is pending, nor with what was delivered (DELIVERY, section 1).

Counted in rows that PostgreSQL looks at and in pages that it touches, which is the same on every machine. Pages are
compared on the same tables, for the height of their indexes. benchmarks/backlog.py takes the time, of a far larger
backlog.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, event, text
from sqlmodel import Session

from benchmarks import backlog
from tests.fakes import AT
from worker.store import claims
from worker.store.rooms import Slots
from worker.store.session import Database

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
FEW, MANY, DELIVERED = 1_000, 60_000, 40_000
PAGES = "Shared Hit Blocks", "Shared Read Blocks"
Plan = dict[str, Any]


@contextmanager
def explained(database: Database) -> Iterator[list[Plan]]:
    """The plan of each statement meanwhile, with what it really touched; what explaining changes is taken back."""
    plans: list[Plan] = []

    def explain(connection: Connection, _cursor: object, statement: str, values: Any, *_: object) -> None:
        if statement.split(maxsplit=1)[0] in {"SELECT", "UPDATE", "INSERT", "WITH"}:
            raw = connection.connection.cursor()
            alone = raw.connection.info.transaction_status == TransactionStatus.IDLE
            raw.execute("BEGIN" if alone else "SAVEPOINT explaining")
            raw.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement, values)
            (found,) = raw.fetchone() or ([],)
            raw.execute("ROLLBACK" if alone else "ROLLBACK TO explaining")
            raw.close()
            plans.append((found if isinstance(found, list) else json.loads(found))[0]["Plan"])

    event.listen(database.engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(database.engine, "before_cursor_execute", explain)


def nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def pages(plans: list[Plan]) -> int:
    return sum(plan[kind] for plan in plans for kind in PAGES)


def explained_claim(database: Database, now: datetime) -> list[Plan]:
    """The plans of one claim of 500, which is taken back."""
    backlog.begin_afresh(database)
    with explained(database) as plans, Session(database.engine) as session:
        assert claims.anything_due(database, backlog.ALLOWANCES, now)
        assert len(claims.claim(session, backlog.ALLOWANCES, Slots(backlog.AT_ONCE), now)) == backlog.AT_ONCE
        session.rollback()
    return plans


def looked_at(plans: list[Plan]) -> int:
    """How many rows were looked at, on the way to those that were wanted."""
    removed = "Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck"
    return sum(
        (int(node["Actual Rows"]) + sum(node.get(kind, 0) for kind in removed)) * int(node["Actual Loops"])
        for plan in plans
        for node in nodes(plan)
        if "Relation Name" in node
    )


def test_neither_what_is_pending_nor_what_was_delivered_makes_a_claim_dearer(database: Database) -> None:
    backlog.prepare(database)
    backlog.fill(database, 1, FEW, "pending")
    alone = explained_claim(database, AT)
    backlog.fill(database, FEW + 1, MANY + DELIVERED, "delivered")
    beside_delivered = explained_claim(database, AT)
    make_pending(database, MANY)
    beside_all = explained_claim(database, AT)

    assert looked_at(beside_delivered) <= 1.3 * looked_at(alone)
    assert looked_at(beside_all) <= 1.3 * looked_at(alone)
    assert pages(beside_all) <= 1.3 * pages(beside_delivered)
    used = {node["Index Name"] for plan in beside_all for node in nodes(plan) if "Index Name" in node}
    assert used >= {"delivery_due", "delivery_order", "delivery_open", "delivery_pkey", "message_pkey"}
    whole = {node["Relation Name"] for plan in beside_all for node in nodes(plan) if node["Node Type"] == "Seq Scan"}
    assert whole <= {"endpoint", "source"}


def test_a_claim_costs_no_more_before_the_tables_were_ever_analysed(database: Database) -> None:
    backlog.prepare(database)
    backlog.fill(database, 1, FEW, "pending", tidy=False)
    few = explained_claim(database, AT)
    backlog.fill(database, FEW + 1, MANY, "pending", tidy=False)
    many = explained_claim(database, AT)

    assert looked_at(many) <= 1.3 * looked_at(few)
    used = {node["Index Name"] for plan in many for node in nodes(plan) if "Index Name" in node}
    assert "delivery_status_of_endpoint" not in used


def make_pending(database: Database, last: int) -> None:
    """So many of what was delivered is due after all, as if it had never been delivered; then all is tidy again."""
    with database.transaction() as session:
        due = "UPDATE delivery SET status = 'pending', next_attempt_at = :at - id * interval '1 ms' WHERE id <= :last"
        session.execute(text(due), {"at": AT, "last": last})
    backlog.tidy_up(database)
