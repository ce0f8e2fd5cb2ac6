"""`delivery.attempted`: every decision in one line, and nothing that is nobody's (DELIVERY, section 6)."""

import json
import logging
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import generate_latest

from worker import logs
from worker.metrics import Counting
from worker.sandbox import Sandbox
from worker.sandbox.configuration import written
from worker.wiring import open_house, read_settings

PASSWORD, TOKEN, HEADER = "hunter2-password", "hunter2-token", "hunter2-header"  # no secrets
KEYS = {
    "event", "level", "logger", "timestamp", "source", "notification", "message", "endpoint", "attempt", "trigger",
    "outcome", "status", "ms", "verdict", "next_attempt_at",
}  # fmt: skip


@pytest.fixture
def log() -> Iterator[StringIO]:
    """What a process whose standard error is no terminal writes."""
    root, stream = logging.getLogger(), StringIO()
    level, former = root.level, list(root.handlers)
    logs.configure(stream, json=True, cached=False)
    yield stream
    for ours in [one for one in root.handlers if one not in former]:
        root.removeHandler(ours)
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


def delivered(folder: Path, sandbox: Sandbox) -> Counting:
    """One notification, polled and sent to an endpoint with a secret wherever there may be one."""
    endpoint = sandbox.endpoints()["sandbox"]
    scheme, rest = endpoint["url"].split("://")
    endpoint |= {"url": f"{scheme}://user:{PASSWORD}@{rest}?token={TOKEN}", "headers": {"X-Team": HEADER}}
    head = {"database": f"sqlite:///{folder}/tocsin.db", "metrics": "127.0.0.1:9464"}
    sources = {"bookkeep": sandbox.sources()["bookkeep"] | {"every": "1h"}}
    (folder / "tocsin.toml").write_text(written(head, {"sources": sources, "endpoints": {"erp": endpoint}}))
    counting = Counting()
    home = open_house(read_settings(folder / "tocsin.toml", {}), meter=counting)
    try:
        home.poll("bookkeep", only_due=False)
        home.deliver()
    finally:
        home.close()
    return counting


def lines(log: StringIO) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "delivery.attempted"]


def test_an_attempt_is_one_line_with_every_decision_in_it(tmp_path: Path, sandbox: Sandbox, log: StringIO) -> None:
    sandbox.publish(1, "bookkeep")
    delivered(tmp_path, sandbox)
    [line] = lines(log)
    assert KEYS <= line.keys()
    expected = {
        "source": "bookkeep", "endpoint": "erp", "attempt": 1, "trigger": "first", "outcome": "answered",
        "status": 204, "verdict": "delivered", "next_attempt_at": None, "level": "info", "logger": "tocsin.deliver",
    }  # fmt: skip
    assert {name: line[name] for name in expected} == expected
    assert (line["message"][:4], len(line["notification"]), line["ms"] >= 0) == ("msg_", 36, True)


def test_neither_the_urls_secrets_nor_a_header_nor_the_body_is_in_a_line_or_a_metric(
    tmp_path: Path, sandbox: Sandbox, log: StringIO
) -> None:
    [row] = sandbox.publish(1, "bookkeep")
    counting = delivered(tmp_path, sandbox)
    assert len(lines(log)) == 1
    said = log.getvalue() + generate_latest(counting.registry).decode()
    secret = sandbox.secret.removeprefix("whsec_")
    identity = f'"{row.external_id}"'  # as a word: it is a short number, and others hold that
    kept = [text for text in (PASSWORD, TOKEN, HEADER, secret, identity, "127.0.0.1") if text in said]
    assert kept == []
