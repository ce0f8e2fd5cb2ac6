import json
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes import AT, item
from tests.integration.store.desk import Desk, PowerCutError, power_cut, statements
from worker.cloudevents import event
from worker.envelope import encode
from worker.interest import Interest
from worker.revision import MessageType
from worker.store import forms, outbox, retention
from worker.store.outbox import Notice
from worker.store.tables import Delivery, Form, Message

CLOUD = "cloudevents"


@pytest.fixture
def two(desk: Desk) -> Desk:
    """Two endpoints: `erp` wants the standard format, `cloud` the other."""
    desk.endpoint("erp")
    desk.endpoint("cloud")
    switch(desk, "cloud")
    return desk


def switch(desk: Desk, name: str) -> None:
    desk.limits[name] = replace(desk.limits[name], format=CLOUD)


def interests(desk: Desk) -> list[Interest]:
    return [Interest(name, format=allowance.format) for name, allowance in desk.limits.items()]


def expected(message: Message) -> bytes:
    source = "books" if message.source_id else None
    return event(message.body, message.id, source, message.notification_id and str(message.notification_id))


def test_a_form_is_sealed_with_its_message_where_an_endpoint_wants_it(two: Desk) -> None:
    two.store(item("a"), item("b"), interests=interests(two))
    messages = {row.id: row for row in two.rows(Message)}
    sealed = {row.message_id: (row.format, row.body) for row in two.rows(Form)}
    assert sealed == {identity: (CLOUD, expected(row)) for identity, row in messages.items()}


def test_no_form_is_sealed_where_nobody_wants_it(desk: Desk) -> None:
    desk.endpoint("erp")
    with statements(desk.database) as said:
        desk.store(item("a"), interests=interests(desk))
        desk.claim()
    assert (desk.rows(Form), [one for one in said if "message_form" in one]) == ([], [])


def test_no_form_is_sealed_of_what_the_endpoint_does_not_want_or_does_not_get(two: Desk) -> None:
    two.store(item("a"), interests=[Interest("cloud", kinds=("Nothing*",), format=CLOUD)])
    two.change(type(two.endpoint_row("cloud")), {"disabled_at": AT}, name="cloud")
    two.store(item("b"), interests=interests(two))
    assert two.rows(Form) == []


def test_each_endpoint_is_due_the_bytes_in_its_format(two: Desk) -> None:
    two.store(item("a"), interests=interests(two))
    (message,) = two.rows(Message)
    assert {one.endpoint: one.body for one in two.claim()} == {"erp": message.body, "cloud": expected(message)}


def test_what_is_sent_are_the_stored_bytes_on_every_attempt(two: Desk) -> None:
    two.store(item("a"), interests=interests(two))
    two.change(Form, {"body": b'{"specversion":"1.0","data":"as it was sealed"}'}, format=CLOUD)
    bodies = []
    for _ in range(3):
        [due] = [one for one in two.claim() if one.endpoint == "cloud"]
        bodies.append(due.body)
        two.record([two.judged(due, 500)])
        two.now += timedelta(hours=1)
    assert bodies == [b'{"specversion":"1.0","data":"as it was sealed"}'] * 3


def test_a_form_that_is_missing_is_made_and_kept_before_it_is_sent(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(item("a"), interests=interests(desk))
    switch(desk, "erp")
    [due] = desk.claim()
    (message,), (form,) = desk.rows(Message), desk.rows(Form)
    assert (due.body, form.body) == (expected(message), expected(message))


def test_a_redelivery_in_another_format_is_made_then(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(item("a"), interests=interests(desk))
    desk.deliver()
    switch(desk, "erp")
    desk.redeliver(1)
    [due] = desk.claim()
    assert json.loads(due.body)["id"] == due.message_id


def test_the_form_of_an_operational_message_is_sealed_with_it(two: Desk) -> None:
    body = encode(MessageType.SOURCE_FAILING, AT, {"name": "books"})
    with two.database.transaction() as session:
        notice = Notice(MessageType.SOURCE_FAILING, 1, body, frozenset({"standard", CLOUD}))
        outbox.owe_notice(session, notice, ["erp", "cloud"], AT)
    (message,), (form,) = two.rows(Message), two.rows(Form)
    assert form.body == event(body, message.id, "books", None)


def test_forms_that_are_missing_are_sealed_once(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(*[item(f"n{number}") for number in range(7)], interests=interests(desk))
    ids = [row.id for row in desk.rows(Message)]
    with desk.database.transaction() as session:
        first = forms.seal_missing(session, [*ids[:3], *ids[:3]], CLOUD)
    with desk.database.transaction() as session:
        assert (first, forms.seal_missing(session, ids, CLOUD), forms.seal_missing(session, ids, "standard")) == (
            3, 4, 0,
        )  # fmt: skip
    assert sorted(row.message_id for row in desk.rows(Form)) == sorted(ids)


def test_thousands_of_forms_are_sealed_in_portions(desk: Desk) -> None:
    desk.endpoint("erp")
    desk.store(*[item(f"n{number}") for number in range(1_100)], interests=interests(desk))
    ids = [row.id for row in desk.rows(Message)]
    with statements(desk.database) as said, desk.database.transaction() as session:
        assert forms.seal_missing(session, ids, CLOUD) == 1_100
    assert len([one for one in said if one.startswith("SELECT")]) == 3


def test_a_form_is_kept_with_its_message_or_not_at_all(two: Desk) -> None:
    with statements(two.database) as said:
        two.store(item("a"), interests=interests(two))
    [sealing] = [at for at, one in enumerate(said, 1) if one.startswith("INSERT INTO message_form")]
    for at in (sealing - 1, sealing):
        with pytest.raises(PowerCutError), power_cut(two.database, at):
            two.store(item("b"), interests=interests(two))
    assert [len(two.rows(model)) for model in (Message, Form, Delivery)] == [1, 1, 2]


def test_forms_go_with_their_messages(two: Desk) -> None:
    two.now = AT - timedelta(days=500)
    two.store(item("a", "resolved"), interests=interests(two))
    two.deliver()
    two.now = AT
    assert list(retention.prune(two.database, AT - timedelta(days=400), AT - timedelta(days=90)))
    assert (two.rows(Message), two.rows(Form)) == ([], [])
