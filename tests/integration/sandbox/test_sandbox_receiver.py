"""The sandbox's receiver of webhooks."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
import requests
from standardwebhooks import Webhook

from worker.sandbox import Answer, BreakOff, Cut, Flood, HandClock, Hang, Receiver, Trickle

LONG = timedelta(seconds=10)


@pytest.fixture
def receiver(clock: HandClock) -> Iterator[Receiver]:
    with Receiver(clock) as running:
        yield running


class Sender:
    """Sends signed requests."""

    def __init__(self, receiver: Receiver, session: requests.Session) -> None:
        self.receiver, self.session, self.numbers = receiver, session, count(1)

    def send(
        self, path: str, secret: str, body: bytes = b"{}", at: datetime | None = None, timeout: float = 10
    ) -> requests.Response:
        moment, message_id = at or datetime.now(UTC), f"msg_{next(self.numbers)}"
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": Webhook(secret).sign(message_id, moment, body.decode()),
        }
        return self.session.post(self.receiver.url(path), data=body, headers=headers, timeout=timeout)


@pytest.fixture
def sender(receiver: Receiver, session: requests.Session) -> Sender:
    return Sender(receiver, session)


def test_a_good_request_is_taken_and_remembered(receiver: Receiver, sender: Sender, clock: HandClock) -> None:
    secret = receiver.open("/a")
    answer = sender.send("/a", secret, b'{"one": 1}')
    (received,) = receiver.received("/a")
    assert (answer.status_code, received.verified, received.accepted) == (204, True, True)
    assert (received.webhook_id, received.body, received.content) == ("msg_1", b'{"one": 1}', {"one": 1})
    assert received.arrived_at == clock.at


def test_each_path_has_its_own_secrets(receiver: Receiver, sender: Sender) -> None:
    first, second = receiver.open("/a"), receiver.open("/b")
    sender.send("/a", second)
    sender.send("/b", second)
    assert [one.verified for one in receiver.received()] == [False, True]
    assert first != second


def test_any_of_several_secrets_will_do(receiver: Receiver, sender: Sender) -> None:
    old, new = "whsec_" + "b2xk" * 8, "whsec_" + "bmV3" * 8
    assert receiver.open("/a", old, new) == old
    sender.send("/a", new)
    assert receiver.received()[0].refusal is None


@pytest.mark.parametrize("headers", [{}, {"webhook-id": "a", "webhook-timestamp": "soon", "webhook-signature": "v1"}])
def test_a_request_without_a_good_signature_is_remembered_with_the_reason(
    receiver: Receiver, session: requests.Session, headers: dict[str, str]
) -> None:
    receiver.open("/a")
    session.post(receiver.url("/a"), data=b"{}", headers=headers, timeout=10)
    assert receiver.received()[0].refusal


def test_a_signature_is_fresh_by_the_machines_clock_or_by_the_receivers(
    receiver: Receiver, sender: Sender, clock: HandClock
) -> None:
    secret = receiver.open("/a")
    for at in (clock.at, clock.at - timedelta(minutes=6), clock.at + timedelta(minutes=6)):
        sender.send("/a", secret, at=at)
    assert [one.verified for one in receiver.received()] == [True, False, False]


def test_an_old_signature_by_another_secret_is_bad_by_either_clock(
    receiver: Receiver, sender: Sender, clock: HandClock
) -> None:
    receiver.open("/a")
    sender.send("/a", receiver.open("/b"), at=clock.at)
    assert receiver.received()[0].refusal == "No matching signature found"


def test_a_path_that_nobody_opened_is_not_found_and_remembered(receiver: Receiver, sender: Sender) -> None:
    assert sender.send("/nowhere", receiver.open("/a")).status_code == 404
    assert [one.refusal for one in receiver.received("/nowhere")] == ["nobody receives here"]


def test_a_script_is_played_once_and_then_the_usual_answer_is_given(receiver: Receiver, sender: Sender) -> None:
    secret = receiver.open("/a")
    receiver.script("/a", Answer(500), Answer(429, headers={"Retry-After": "3"}), then=Answer(200, b"thanks"))
    answers = [sender.send("/a", secret) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [500, 429, 200, 200]
    assert (answers[1].headers["Retry-After"], answers[3].text) == ("3", "thanks")
    assert [one.accepted for one in receiver.received()] == [False, False, True, True]


@pytest.mark.parametrize("status", [200, 301, 400, 404, 410, 500, 503])
def test_any_status_can_be_answered(receiver: Receiver, sender: Sender, status: int) -> None:
    secret = receiver.open("/a")
    receiver.script("/a", Answer(status))
    assert sender.send("/a", secret).status_code == status


@pytest.mark.parametrize("reply", [Hang(), Trickle(), Cut(), BreakOff()])
def test_a_request_without_a_whole_answer_ends_when_the_client_leaves(
    receiver: Receiver, sender: Sender, reply: Hang | Trickle | Cut | BreakOff
) -> None:
    secret = receiver.open("/a")
    receiver.script("/a", reply)
    with pytest.raises(requests.RequestException):
        sender.send("/a", secret, timeout=0.04)
    assert receiver.wait_until(lambda seen: seen[0].ended_at is not None, LONG)
    assert receiver.received()[0].reply == reply


def test_a_flood_may_be_left_early(receiver: Receiver, session: requests.Session) -> None:
    receiver.open("/a")
    receiver.script("/a", Flood())
    with session.post(receiver.url("/a"), data=b"{}", timeout=10, stream=True) as answer:
        assert answer.headers["Content-Length"] == str(1 << 30)
    assert receiver.wait_until(lambda seen: seen[0].ended_at is not None, LONG)


def test_waiting_ends_without_success_when_nothing_comes(receiver: Receiver) -> None:
    assert not receiver.wait_until(lambda seen: len(seen) > 0, timedelta(milliseconds=10))


def test_what_is_forgotten_is_not_received(receiver: Receiver, sender: Sender) -> None:
    secret = receiver.open("/a")
    sender.send("/a", secret)
    receiver.forget()
    sender.send("/a", secret)
    assert [one.webhook_id for one in receiver.received()] == ["msg_2"]


def test_what_is_forgotten_while_it_is_open_stays_forgotten(receiver: Receiver, sender: Sender) -> None:
    secret = receiver.open("/a")
    receiver.script("/a", Hang())
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(sender.send, "/a", secret)
        assert receiver.wait_until(lambda seen: len(seen) == 1, LONG)
        receiver.forget()
        receiver.stop()
        assert isinstance(hanging.exception(timeout=10), requests.ConnectionError)
    assert receiver.received() == []


def test_stopping_ends_what_hangs(receiver: Receiver, sender: Sender) -> None:
    secret = receiver.open("/a")
    receiver.script("/a", Hang())
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(sender.send, "/a", secret)
        assert receiver.wait_until(lambda seen: len(seen) == 1, LONG)
        receiver.stop()
        with pytest.raises(requests.ConnectionError):
            hanging.result(timeout=10)
    assert receiver.received()[0].ended_at is not None
