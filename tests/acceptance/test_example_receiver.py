"""The example receiver of README, as a process, and the real sender (issue 4, item 8)."""

import os
import socket
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.acceptance.processes import ROOT, Running
from tests.integration.webhooks.sending import due
from worker.delivery import Due, Outcome
from worker.envelope import json_bytes
from worker.webhooks import signature
from worker.webhooks.sender import Sender
from worker.webhooks.target import Target

EXAMPLE = ROOT / "docs" / "receiver.py"
PATIENCE = timedelta(seconds=20)


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Example:
    """The receiver at work, and what it holds."""

    url: str
    secret: str
    inbox: Path

    def send(self, *due: Due, secret: str | None = None, at: datetime | None = None) -> list[int | None]:
        """Send these by the real sender, one after another; the answers' statuses."""
        target = Target(
            name="erp",
            url=self.url,
            secrets=(signature.parse_key(secret or self.secret),),
            allow_networks=(ip_network("127.0.0.0/8"),),
        )
        answers: list[Outcome] = []
        with Sender({"erp": target}, "Tocsin/test", clock=lambda: at or now()) as sender:
            for one in due:
                sender.begin([one])
                while not (ended := sender.finished(PATIENCE)):
                    pass
                answers += [outcome for _, outcome in ended]
        return [answer.status_code for answer in answers]

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.inbox)) as opened:
            return opened.execute(query).fetchall()

    @property
    def messages(self) -> list[object]:
        return [row[0] for row in self.rows("SELECT webhook_id FROM message ORDER BY rowid")]

    @property
    def latest(self) -> list[tuple[object, ...]]:
        return self.rows("SELECT notification, revision, status FROM latest ORDER BY notification")


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    folder, secret = tmp_path_factory.mktemp("receiver"), signature.new_secret()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = (sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLE.parent), "--port", str(port), "receiver:app")
    with Running(command, {**os.environ, "TOCSIN_SECRET": secret}, folder) as process:
        process.says("Uvicorn running")
        yield Example(f"http://127.0.0.1:{port}/hooks/tocsin", secret, folder / "inbox.db")


def message(identity: str, revision: int, status: str = "new", kind: str = "notification.updated") -> Due:
    content = {"id": identity, "revision": revision, "status": status}
    body = json_bytes({"type": kind, "timestamp": "2026-03-20T12:00:00Z", "data": content})
    return replace(due(body=body), message_id=f"msg_{identity}_{revision}", source="books")


def test_a_signed_message_is_kept_and_answered_with_204(example: Example) -> None:
    assert example.send(message("kept", 1)) == [204]
    assert "msg_kept_1" in example.messages
    assert ("kept", 1, "new") in example.latest


def test_a_duplicate_is_taken_and_changes_nothing(example: Example) -> None:
    twice = message("twice", 1)
    assert example.send(twice, twice, twice) == [204, 204, 204]
    assert example.messages.count("msg_twice_1") == 1


def test_an_older_revision_that_comes_late_is_taken_and_overwrites_nothing(example: Example) -> None:
    first, second = message("late", 1, "new"), message("late", 2, "resolved")
    assert example.send(second, first) == [204, 204]
    assert ("late", 2, "resolved") in example.latest
    assert {"msg_late_1", "msg_late_2"} <= set(example.messages)


def test_an_operational_message_is_kept_too(example: Example) -> None:
    assert example.send(message("books", 0, kind="source.failing")) == [204]
    assert "books" not in [row[0] for row in example.latest]


def test_a_message_signed_by_another_is_refused(example: Example) -> None:
    assert example.send(message("forged", 1), secret=signature.new_secret()) == [400]
    assert "msg_forged_1" not in example.messages


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_message_of_another_time_is_refused(example: Example, minutes: int) -> None:
    assert example.send(message(f"old{minutes}", 1), at=now() + timedelta(minutes=minutes)) == [400]
    assert f"msg_old{minutes}_1" not in example.messages


def test_the_example_of_readme_is_the_file_that_is_tested_and_short() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert text.count("\n") <= 25
    assert f"```python\n{text}```" in (ROOT / "README.md").read_text(encoding="utf-8")
