import json
from typing import Any

import pytest

from tests.integration.cli.desk import Desk, Said
from worker.cli.output import ESCAPED
from worker.notification import rfc3339
from worker.sandbox import PATH, Answer, Sandbox

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\x00\x08\u202e\u2028"
TEXT = f"Ünïcode 日本 {ESCAPES} end [red]markup[/red]"
HOSTILE = {character for character in ESCAPES if not character.isprintable()} - {"\n"}


@pytest.fixture
def hostile(configured: Desk, sandbox: Sandbox) -> Desk:
    """A provider and a receiver that speak to the terminal in every text they may send."""
    raw = {
        "id": 1, "fireDate": rfc3339(sandbox.clock()), "message": TEXT, "eventType": TEXT, "reason": TEXT,
        "process": TEXT, "processType": TEXT, "processIdentifier": TEXT,
    }  # fmt: skip
    sandbox.realtime_register.ledger.publish("1", raw)
    sandbox.govapp.ledger.publish(TEXT, {"id": TEXT, "status": TEXT, "events": [{"type": TEXT, "action": TEXT}]})
    sandbox.govapp.ledger.publish("x", {"status": TEXT})
    sandbox.bookkeep.faults.next(*[Answer(500, TEXT.encode())] * 9)
    sandbox.receiver.script(PATH, then=Answer(400, TEXT.encode()))
    return configured


def said_by_all(desk: Desk, *, screen: bool = False) -> list[Said]:
    """Every command that tells of what others sent."""
    said = [desk.tocsin("check", screen=screen)]
    said += [desk.tocsin("poll", name, screen=screen) for name in ("realtime_register", "govapp", "bookkeep")]
    desk.deliver()
    rows = desk.tocsin("notifications", "list", "--json").rows
    assert len(rows) == 2
    lists = [("status",), ("notifications", "list"), ("deliveries", "list"), ("rejected", "list"), ("sources", "list")]
    shown = [("notifications", "show", row["id"]) for row in rows]
    return [
        *said,
        *(desk.tocsin(*words, screen=screen) for words in [*lists, *shown, ("endpoints", "test", "sandbox")]),
    ]


def test_no_text_of_others_speaks_to_the_terminal(hostile: Desk) -> None:
    for said in said_by_all(hostile):
        assert HOSTILE & set(said.out + "\n".join(said.complaints)) == set()


def test_on_a_terminal_only_our_own_escapes_are_written(hostile: Desk) -> None:
    for said in said_by_all(hostile, screen=True):
        ours = said.out.replace("\x1b[1m", "").replace("\x1b[0m", "")
        assert (HOSTILE & set(ours), "\x1b[2J" in said.err, "\x07" in said.err) == (set(), False, False)


def test_text_that_is_not_ascii_is_written_as_it_is(hostile: Desk) -> None:
    shown = "".join(said.out for said in said_by_all(hostile))
    assert ("Ünïcode 日本" in shown, "[red]markup[/red]" in shown) == (True, True)


def test_json_holds_what_was_sent_as_escapes(hostile: Desk) -> None:
    said_by_all(hostile)
    said = hostile.tocsin("notifications", "list", "--json")
    assert {row["external_id"] for row in said.rows} == {"1", TEXT}
    assert {character for character in said.out if ord(character) < 32} == {"\n"}


def test_a_row_is_one_line_and_an_id_stays_in_one_piece(hostile: Desk) -> None:
    said_by_all(hostile)
    for words in [("notifications", "list"), ("deliveries", "list"), ("status",)]:
        for screen in (False, True):
            said = hostile.tocsin(*words, screen=screen)
            lines = [line for line in said.out.splitlines() if line]
            assert len(lines) == {"notifications": 3, "deliveries": 4, "status": 6}[words[0]]
            assert all(line == line.rstrip() for line in lines)
    identity = hostile.tocsin("notifications", "list", "--json").rows[0]["id"]
    assert identity in hostile.tocsin("notifications", "list", screen=True).out


def test_a_lone_surrogate_of_a_provider_is_listed_all_the_same(configured: Desk, sandbox: Sandbox) -> None:
    body = json.dumps({"entities": [{"id": 7, "message": "half \ud83d", "fireDate": "2026-01-01T00:00:00Z"}]})
    sandbox.realtime_register.faults.next(Answer(200, body.encode(), {"Content-Type": "application/json"}))
    said = configured.tocsin("poll", "realtime_register", "--json")
    assert (said.code, said.row["new"] + said.row["rejected"]) == (0, 1)
    assert [configured.tocsin(*words).code for words in [("notifications", "list"), ("rejected", "list")]] == [0, 0]
    for words in [("notifications", "list", "--json"), ("rejected", "list", "--json")]:
        assert all(isinstance(row["raw"], dict) for row in configured.tocsin(*words).rows)


@pytest.mark.parametrize("encoding", ["ascii", "koi8-r"])
def test_a_terminal_without_our_letters_ends_no_command(configured: Desk, encoding: str) -> None:
    configured.tocsin("migrate")
    environ = {"PYTHONIOENCODING": encoding}
    with configured.process("status", environ=environ) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in err, "bookkeep" in out) == (0, False, True)


def test_json_stays_json_where_the_encoding_lacks_letters(configured: Desk, sandbox: Sandbox) -> None:
    raw = {"id": 1, "fireDate": rfc3339(sandbox.clock()), "message": "Café 日本 🔔"}
    sandbox.realtime_register.ledger.publish("1", raw)
    configured.tocsin("poll", "realtime_register")
    said = configured.finished("notifications", "list", "--json", environ={"PYTHONIOENCODING": "ascii"})
    assert (said.code, said.out.isascii(), said.row["message"]) == (0, True, "Café 日本 🔔")


def test_what_is_read_is_never_escaped() -> None:
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", ESCAPED)


def test_a_reader_that_leaves_early_is_no_traceback(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(100, "bookkeep")
    configured.tocsin("poll", "bookkeep")
    with configured.process("notifications", "list", "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
        process.wait(timeout=30)
    assert ("Traceback" in err, process.returncode) == (False, 1)


def test_a_subject_without_a_type_is_shown_without_a_none(configured: Desk, sandbox: Sandbox) -> None:
    raw: dict[str, Any] = {"id": 1, "fireDate": rfc3339(sandbox.clock()), "processIdentifier": "example.nl"}
    sandbox.realtime_register.ledger.publish("1", raw)
    configured.tocsin("poll", "realtime_register")
    identity = configured.tocsin("notifications", "list", "--json").row["id"]
    shown = configured.tocsin("notifications", "show", identity).out
    assert ("None" in shown, "type: –, id: example.nl" in shown) == (False, True)
