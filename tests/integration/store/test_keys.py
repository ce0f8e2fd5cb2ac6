from datetime import timedelta

import pytest

from tests.fakes import AT
from tests.integration.store.desk import Desk
from worker.store import keys
from worker.store.tables import EndpointSecret

SECOND = timedelta(seconds=1)


@pytest.fixture
def erp(desk: Desk) -> Desk:
    desk.endpoint("erp")
    desk.endpoint("crm")
    return desk


def in_force(desk: Desk, name: str = "erp", after: timedelta = timedelta()) -> list[tuple[str, str]]:
    with desk.database.reading() as session:
        return [(one.signing, one.sealed) for one in keys.in_force(session, [name], AT + after).get(name, ())]


def keep(desk: Desk, sealed: str, signing: str = "hmac", name: str = "erp") -> bool:
    with desk.database.transaction() as session:
        return keys.keep_first(session, name, signing, sealed, AT)


def rotate(desk: Desk, sealed: str, overlap: timedelta, at: timedelta = timedelta()) -> None:
    with desk.database.transaction() as session:
        endpoint_id = keys.lock(session, "erp")
        keys.retire(session, endpoint_id, "hmac", AT + at + overlap, AT + at)
        keys.keep(session, endpoint_id, "hmac", sealed, AT + at)


def test_the_first_secret_is_kept(erp: Desk) -> None:
    assert [keep(erp, "first"), keep(erp, "second")] == [True, False]
    assert [row.sealed for row in erp.rows(EndpointSecret)] == ["first"]


def test_each_kind_of_signing_has_its_first_secret(erp: Desk) -> None:
    assert [keep(erp, "shared"), keep(erp, "private", "ed25519"), keep(erp, "other", name="crm")] == [True] * 3
    assert in_force(erp) == [("ed25519", "private"), ("hmac", "shared")]


def test_a_new_secret_stands_before_the_one_that_is_to_be_retired(erp: Desk) -> None:
    keep(erp, "old")
    rotate(erp, "new", SECOND)
    assert in_force(erp) == [("hmac", "new"), ("hmac", "old")]
    assert in_force(erp, after=SECOND) == [("hmac", "new")]


def test_another_rotation_never_prolongs_the_first_overlap(erp: Desk) -> None:
    keep(erp, "oldest")
    rotate(erp, "old", 2 * SECOND)
    rotate(erp, "new", 9 * SECOND, at=SECOND)
    assert [sealed for _, sealed in in_force(erp, after=SECOND)] == ["new", "old", "oldest"]
    assert [sealed for _, sealed in in_force(erp, after=2 * SECOND)] == ["new", "old"]
    assert [sealed for _, sealed in in_force(erp, after=10 * SECOND)] == ["new"]


def test_another_rotation_may_shorten_it(erp: Desk) -> None:
    keep(erp, "oldest")
    rotate(erp, "old", 9 * SECOND)
    rotate(erp, "new", SECOND)
    assert [sealed for _, sealed in in_force(erp, after=SECOND)] == ["new"]


def test_without_an_overlap_the_old_one_is_gone_at_once(erp: Desk) -> None:
    keep(erp, "leaked")
    rotate(erp, "new", timedelta())
    assert [row.sealed for row in erp.rows(EndpointSecret)] == ["new"]


def test_what_is_long_retired_goes_with_the_next_rotation(erp: Desk) -> None:
    keep(erp, "oldest")
    rotate(erp, "old", SECOND)
    rotate(erp, "new", SECOND, at=timedelta(days=1))
    assert [row.sealed for row in erp.rows(EndpointSecret)] == ["old", "new"]


def test_a_rotation_leaves_other_endpoints_and_other_kinds_alone(erp: Desk) -> None:
    for signing, name in (("hmac", "erp"), ("ed25519", "erp"), ("hmac", "crm")):
        keep(erp, f"{name}'s {signing}", signing, name)
    rotate(erp, "new", timedelta())
    assert in_force(erp) == [("hmac", "new"), ("ed25519", "erp's ed25519")]
    assert in_force(erp, "crm") == [("hmac", "crm's hmac")]
