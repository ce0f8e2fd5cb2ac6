import json

import pytest

from tests.integration.cli.desk import Desk
from worker.sandbox import Sandbox


def test_rows_stand_on_standard_output_and_all_else_on_standard_error(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(1, "bookkeep")
    said = configured.finished("poll", "bookkeep", "--json")
    assert (said.code, said.row["new"], said.err.count("stands in the file as plain text")) == (0, 1, 5)


def test_a_failure_is_exit_1_and_what_could_not_run_exit_2(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.bookkeep.faults.refuse()
    refused, unknown = configured.finished("poll", "bookkeep"), configured.finished("poll", "nobody")
    assert ((refused.code, refused.out), (unknown.code, unknown.out)) == ((1, ""), (2, ""))


def test_the_log_of_a_command_is_a_json_object_a_line_on_standard_error(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.bookkeep.faults.refuse()
    said = configured.finished("poll", "bookkeep")
    events = [json.loads(line)["event"] for line in said.err.splitlines() if line.startswith("{")]
    assert events == ["poll.paused"]


@pytest.mark.parametrize("words", [("--config", "mine.toml", "run"), ("run", "--config", "mine.toml")])
def test_run_says_what_is_wrong_before_anything_starts(desk: Desk, words: tuple[str, ...]) -> None:
    desk.write('[sources.a]\nprovider = "nobody"\n', "mine.toml")
    said = desk.finished(*words)
    known = "bookkeep, github, govapp, mastodon, realtime_register, stripe"
    expected = f'sources.a.provider: "nobody" is not a provider; known: {known}\n'
    assert (said.code, said.out, said.err) == (2, "", expected)
    assert desk.files() == {"mine.toml"}


def test_two_processes_may_make_the_schema_at_once(configured: Desk) -> None:
    processes = [configured.process("status", "--json") for _ in range(2)]
    said = [process.communicate(timeout=30) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert [len(json.loads(out)["sources"]) for out, _ in said] == [3, 3]
