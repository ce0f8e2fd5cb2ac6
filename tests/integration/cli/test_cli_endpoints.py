import base64
import re
from datetime import timedelta

import pytest

from tests.integration.cli.desk import Desk
from worker.sandbox import PATH, Answer, Sandbox


def deliveries(desk: Desk) -> list[tuple[str, str | None]]:
    return [(row["status"], row["reason"]) for row in desk.tocsin("deliveries", "list", "--json").rows]


@pytest.fixture
def own(desk: Desk, sandbox: Sandbox) -> Desk:
    """An endpoint without a configured secret."""
    keys = {key: value for key, value in sandbox.endpoints()["sandbox"].items() if key != "secret"}
    sources = {"bookkeep": {**sandbox.sources()["bookkeep"], "every": "1h"}}
    desk.configure(sources, {"own": keys})
    return desk


def test_secret_prints_the_configured_one(configured: Desk, sandbox: Sandbox) -> None:
    said = configured.tocsin("endpoints", "secret", "sandbox")
    assert (said.code, said.out) == (0, f"{sandbox.secret}\n")


def test_secret_prints_the_one_that_was_made_and_it_stays(own: Desk) -> None:
    first, second = own.tocsin("endpoints", "secret", "own"), own.tocsin("endpoints", "secret", "own")
    assert (first.code, first.out) == (0, second.out)
    assert len(base64.b64decode(first.out.strip().removeprefix("whsec_"), validate=True)) >= 24


def test_the_secret_that_was_made_is_what_its_receiver_verifies_with(own: Desk, sandbox: Sandbox) -> None:
    sandbox.receiver.open(PATH, own.tocsin("endpoints", "secret", "own").out.strip())
    assert own.tocsin("endpoints", "test", "own").code == 0
    assert [one.verified for one in sandbox.receiver.received(PATH)] == [True]


def test_the_secret_that_was_made_does_not_stand_in_the_database(own: Desk) -> None:
    secret = own.tocsin("endpoints", "secret", "own").out.strip().removeprefix("whsec_")
    stored = b"".join(path.read_bytes() for path in own.folder.glob("tocsin.db*"))
    assert (secret.encode() in stored, base64.b64decode(secret) in stored) == (False, False)


def test_two_processes_at_once_get_the_same_secret(own: Desk) -> None:
    processes = [own.process("endpoints", "secret", "own") for _ in range(2)]
    printed = [process.communicate(timeout=30)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert (len(set(printed)), printed[0].startswith("whsec_")) == (1, True)


def test_test_sends_one_signed_message_and_prints_the_answer(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.receiver.script(PATH, Answer(202, b"thank you"))
    said = configured.tocsin("endpoints", "test", "sandbox")
    (one,) = sandbox.receiver.received(PATH)
    first, second = said.out.splitlines()
    assert (said.code, one.verified, one.content["type"], one.content["data"]) == (0, True, "tocsin.test", {})
    assert re.fullmatch(rf"{one.webhook_id}: answered 202 after \d+ ms", first)
    assert second == "thank you"


def test_test_goes_to_a_disabled_endpoint_too(configured: Desk, sandbox: Sandbox) -> None:
    configured.tocsin("endpoints", "disable", "sandbox")
    assert configured.tocsin("endpoints", "test", "sandbox").code == 0
    assert len(sandbox.receiver.received(PATH)) == 1


@pytest.mark.parametrize("status", [301, 400, 410, 429, 500])
def test_test_exits_1_where_the_message_is_not_taken(configured: Desk, sandbox: Sandbox, status: int) -> None:
    sandbox.receiver.script(PATH, Answer(status))
    said = configured.tocsin("endpoints", "test", "sandbox")
    assert (said.code, f"answered {status}" in said.out) == (1, True)


def test_test_waits_for_a_slow_answer(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.receiver.script(PATH, Answer(204, after=timedelta(milliseconds=300)))
    said = configured.tocsin("endpoints", "test", "sandbox")
    assert (said.code, int(said.out.split()[-2]) >= 300) == (0, True)


def test_a_test_is_never_tried_again(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.receiver.script(PATH, Answer(500))
    configured.tocsin("endpoints", "test", "sandbox")
    assert (configured.deliver(), deliveries(configured)) == (0, [("exhausted", None)])


def test_test_exits_1_where_nobody_listens(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.receiver.stop()
    said = configured.tocsin("endpoints", "test", "sandbox")
    assert (said.code, ": refused after " in said.out) == (1, True)


def test_test_exits_1_where_the_address_is_not_allowed(desk: Desk, sandbox: Sandbox) -> None:
    keys = {key: value for key, value in sandbox.endpoints()["sandbox"].items() if key != "allow_networks"}
    desk.configure({}, {"sandbox": keys})
    said = desk.tocsin("endpoints", "test", "sandbox")
    assert (said.code, ": blocked after " in said.out) == (1, True)
    assert sandbox.receiver.received() == []


def test_what_is_pending_waits_while_an_endpoint_is_disabled(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(2, "bookkeep")
    configured.tocsin("poll", "bookkeep")
    said = configured.tocsin("endpoints", "disable", "sandbox")
    assert (said.code, said.out) == (0, "sandbox is disabled\n")
    assert (configured.deliver(), sandbox.receiver.received()) == (0, [])
    assert deliveries(configured) == [("pending", None)] * 2


def test_disabling_an_endpoint_is_told_to_whom_asks_for_that_once(desk: Desk, sandbox: Sandbox) -> None:
    keys = sandbox.endpoints()["sandbox"]
    sources = {"bookkeep": {**sandbox.sources()["bookkeep"], "every": "1h"}}
    desk.configure(sources, {"sandbox": keys, "ops": {**keys, "types": ["endpoint.*"]}})
    said = [desk.tocsin("endpoints", "disable", "sandbox").out for _ in range(2)]
    assert said == ["sandbox is disabled\n", "sandbox was disabled already\n"]
    assert desk.deliver() == 1
    (one,) = sandbox.receiver.received(PATH)
    row = next(row for row in desk.tocsin("endpoints", "list", "--json").rows if row["name"] == "sandbox")
    assert (one.content["type"], one.content["data"]) == ("endpoint.disabled", row)


def test_what_is_new_while_an_endpoint_is_disabled_is_skipped(configured: Desk, sandbox: Sandbox) -> None:
    configured.tocsin("endpoints", "disable", "sandbox")
    sandbox.publish(1, "bookkeep")
    configured.tocsin("poll", "bookkeep")
    assert deliveries(configured) == [("skipped", "endpoint disabled")]


def test_enable_sends_what_waited_and_not_what_was_skipped(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(2, "bookkeep")
    configured.tocsin("poll", "bookkeep")
    configured.tocsin("endpoints", "disable", "sandbox")
    sandbox.publish(1, "bookkeep")
    configured.tocsin("poll", "bookkeep")
    said = configured.tocsin("endpoints", "enable", "sandbox")
    assert (said.code, said.out) == (0, "sandbox is enabled; 2 deliveries are due now\n")
    assert (configured.deliver(), len(sandbox.receiver.received(PATH))) == (2, 2)
    assert configured.tocsin("status").code == 0


def test_enable_sends_at_once_what_waited_for_a_retry(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(1, "bookkeep")
    sandbox.receiver.script(PATH, Answer(503, headers={"Retry-After": "3600"}))
    configured.tocsin("poll", "bookkeep")
    configured.deliver()
    assert configured.deliver() == 0
    configured.tocsin("endpoints", "enable", "sandbox")
    assert (configured.deliver(), deliveries(configured)) == (1, [("delivered", None)])


def test_a_disabled_endpoint_says_why(configured: Desk, sandbox: Sandbox) -> None:
    configured.tocsin("endpoints", "disable", "sandbox")
    by_hand = configured.tocsin("endpoints", "list", "--json").row
    configured.tocsin("endpoints", "enable", "sandbox")
    sandbox.receiver.script(PATH, Answer(410))
    configured.tocsin("endpoints", "test", "sandbox")
    gone = configured.tocsin("endpoints", "list", "--json").row
    assert [(row["status"], row["reason"]) for row in (by_hand, gone)] == [
        ("disabled", "disabled by hand"),
        ("disabled", "answered 410 Gone"),
    ]


@pytest.mark.parametrize("command", ["secret", "test", "enable", "disable"])
def test_an_endpoint_that_is_not_configured_is_one_line_and_exits_2(configured: Desk, command: str) -> None:
    said = configured.tocsin("endpoints", command, "nobody")
    assert (said.code, said.out, said.complaints) == (2, "", ['"nobody" is not an endpoint; known: sandbox'])


def test_a_url_is_shown_without_user_password_and_query(desk: Desk) -> None:
    desk.configure({}, {"erp": {"url": "https://ann:hunter2@erp.example.com/hooks/tocsin?token=hunter3"}})
    shown = [desk.tocsin("endpoints", "list"), desk.tocsin("endpoints", "list", "--json"), desk.tocsin("status")]
    assert shown[1].row["url"] == "https://erp.example.com/hooks/tocsin"
    assert ["hunter" in said.out + said.err for said in shown] == [False, False, False]


def test_a_key_that_does_not_open_the_stored_secrets_is_one_line(own: Desk) -> None:
    own.tocsin("endpoints", "secret", "own")
    own.environ["TOCSIN_KEY"] = base64.urlsafe_b64encode(bytes(32)).decode()
    said = own.tocsin("endpoints", "secret", "own")
    expected = ["key: the stored secret of endpoint own was sealed with another key; add that key too"]
    assert (said.code, said.out, said.complaints) == (2, "", expected)
