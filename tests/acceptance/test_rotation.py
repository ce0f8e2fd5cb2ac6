"""A daemon that runs on while its endpoint's secret, and the key of what it stores, become others."""

import pytest
import standardwebhooks

from tests.acceptance.processes import Running, Tocsin
from worker.sandbox import PATH, Received


@pytest.fixture
def own(tocsin: Tocsin) -> Tocsin:
    """One source, and an endpoint whose secret was made."""
    endpoint = {key: value for key, value in tocsin.sandbox.endpoints()["sandbox"].items() if key != "secret"}
    source = {**tocsin.sandbox.sources()["bookkeep"], "every": "1s"}
    tocsin.write({}, {"sources": {"books": source}, "endpoints": {"own": endpoint}})
    return tocsin


def secrets(tocsin: Tocsin) -> list[str]:
    code, out, err = tocsin.says("endpoints", "secret", "own")
    assert code == 0, err
    return out.split()


def verifies(one: Received, secret: str) -> bool:
    try:
        standardwebhooks.Webhook(secret).verify(one.body, dict(one.headers), json_parse=False)
    except standardwebhooks.WebhookVerificationError:
        return False
    return True


def next_one(tocsin: Tocsin, run: Running) -> Received:
    """What the daemon sends next."""
    before = len(tocsin.sandbox.receiver.received(PATH))
    tocsin.sandbox.publish(1, "bookkeep")
    run.until(lambda: len(tocsin.sandbox.receiver.received(PATH)) > before, "the next message arrives")
    return tocsin.sandbox.receiver.received(PATH)[-1]


def test_a_daemon_follows_a_rotation_and_its_end_and_another_key_without_a_restart(own: Tocsin) -> None:
    [old] = secrets(own)
    with own.run() as run:
        assert verifies(next_one(own, run), old)
        assert own.says("endpoints", "rotate", "own")[0] == 0
        new, _ = secrets(own)
        run.until(lambda: verifies(one := next_one(own, run), new) and verifies(one, old), "both sign")
        assert own.says("rotate-key")[0] == 0
        assert own.says("endpoints", "rotate", "own", "--overlap", "0s")[0] == 0
        [newest] = secrets(own)
        run.until(lambda: verifies(one := next_one(own, run), newest) and not verifies(one, new), "only one signs")
        assert run.stopped() == 0
        assert "secret_not_opened" not in run.stderr
