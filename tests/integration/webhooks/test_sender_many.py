"""Many requests at once, from one thread."""

from collections import UserDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from tests.integration.webhooks.receivers import Gathering, Receiver, Visit, answering, hanging
from tests.integration.webhooks.sending import KEY, PATIENCE, SHORT, all_finished, due, now, sender, target
from worker.delivery import Wire
from worker.errors import ConfigurationError
from worker.webhooks.bell import Bell
from worker.webhooks.lane import Lane, Surroundings
from worker.webhooks.sender import Sender
from worker.webhooks.sockets import Sockets
from worker.webhooks.target import Target

Receive = Callable[..., Receiver]
MOMENT = timedelta(milliseconds=10)


def test_500_are_open_at_once(receive: Receive) -> None:
    receiver = receive(Gathering(500))
    with sender({"erp": target(receiver.url, timeout=PATIENCE, connect_timeout=PATIENCE)}) as sending:
        sending.begin([due() for _ in range(500)])
        assert [sending.open, sending.room] == [500, 0]
        outcomes = [outcome.status_code for _, outcome in all_finished(sending)]
        assert [outcomes, sending.open, sending.room] == [[204] * 500, 0, 500]


def test_what_could_still_be_open_when_its_claim_ends_is_not_begun(receive: Receive) -> None:
    receiver, timeout, moment = receive(answering(204)), timedelta(seconds=15), now()
    ends = [moment + timeout - timedelta(microseconds=1), moment + timeout, moment - timeout]
    late, in_time, long_over = (replace(due(), claimed_until=at) for at in ends)
    with sender({"erp": target(receiver.url, timeout=timeout)}, clock=lambda: moment) as sending:
        assert sending.begin([late, in_time, long_over]) == [in_time]
        assert [due for due, _ in all_finished(sending)] == [in_time]
    assert len(receiver.requests) == 1


def test_connections_are_used_again(receive: Receive) -> None:
    receiver = receive(answering(204))
    with sender({"erp": target(receiver.url)}) as sending:
        for _ in range(20):
            sending.begin([due()])
            all_finished(sending)
    assert [receiver.connections, len(receiver.requests)] == [1, 20]


def test_each_answer_is_told_with_its_delivery(receive: Receive) -> None:
    urls = {str(status): receive(answering(status)).url for status in (200, 404, 503)}
    with sender({name: target(url) for name, url in urls.items()}) as sending:
        sending.begin([due(name) for name in urls] * 5)
        found = sorted((one.endpoint, outcome.status_code) for one, outcome in all_finished(sending))
    assert found == [("200", 200)] * 5 + [("404", 404)] * 5 + [("503", 503)] * 5


def test_an_endpoint_that_hangs_delays_no_other(receive: Receive) -> None:
    slow, quick = receive(hanging), receive(answering(204))
    with sender({"slow": target(slow.url, timeout=2 * SHORT), "quick": target(quick.url)}) as sending:
        sending.begin([due("slow") for _ in range(50)] + [due("quick") for _ in range(50)])
        ended = [one.endpoint for one, _ in all_finished(sending)]
    assert ended == ["quick"] * 50 + ["slow"] * 50


def test_more_can_be_begun_while_others_are_open(receive: Receive) -> None:
    slow, quick = receive(hanging), receive(answering(204))
    with sender({"slow": target(slow.url), "quick": target(quick.url)}) as sending:
        sending.begin([due("slow")])
        assert sending.finished(MOMENT) == []
        sending.begin([due("quick")])
        [(one, outcome)] = sending.finished(PATIENCE)
        assert [one.endpoint, outcome.status_code, sending.open] == ["quick", 204, 1]


class Gatherer(Sender):
    gathers_for = PATIENCE


def of_two(visit: Visit) -> bool:
    """The first delivery is answered at once, the second after a while."""
    if b"2" in visit.request.body:
        visit.over.wait(SHORT.total_seconds())
    return answering(204)(visit)


def test_with_the_first_outcome_comes_what_ends_soon_after_it(receive: Receive) -> None:
    with Gatherer({"erp": target(receive(of_two).url)}, "Tocsin/1.2.3", now) as sending:
        sending.begin([due(body=b"1"), due(body=b"2")])
        assert [one.body for one, _ in sending.finished(PATIENCE)] == [b"1", b"2"]


def test_what_takes_longer_is_not_waited_for(receive: Receive) -> None:
    with sender({"erp": target(receive(of_two).url)}) as sending:
        sending.begin([due(body=b"1"), due(body=b"2")])
        assert [one.body for one, _ in sending.finished(PATIENCE)] == [b"1"]
        assert [one.body for one, _ in sending.finished(PATIENCE)] == [b"2"]


def test_once_enough_have_ended_no_more_are_waited_for(receive: Receive) -> None:
    quick, slow, began = receive(answering(204)), receive(hanging), now()
    with Gatherer({"quick": target(quick.url), "slow": target(slow.url)}, "Tocsin/1.2.3", now) as sending:
        sending.begin([due("slow"), *(due("quick") for _ in range(50))])
        assert {one.endpoint for one, _ in sending.finished(PATIENCE)} == {"quick"}
    assert now() - began < PATIENCE


def test_waiting_ends_when_its_time_is_up(receive: Receive) -> None:
    with sender({"erp": target(receive(hanging).url)}) as sending:
        sending.begin([due()])
        started_at = now()
        assert sending.finished(timedelta(milliseconds=100)) == []
        assert timedelta(milliseconds=100) <= now() - started_at < timedelta(seconds=5)


def test_waiting_ends_when_another_thread_wakes_it(receive: Receive) -> None:
    with sender({"erp": target(receive(hanging).url)}) as sending, ThreadPoolExecutor(1) as other:
        sending.begin([due()])
        assert sending.finished(MOMENT) == []
        waiting = other.submit(sending.finished, PATIENCE)
        sending.wake()
        assert waiting.result(PATIENCE.total_seconds() / 2) == []
        assert sending.open == 1


def test_who_is_about_to_wait_is_woken_too_and_however_often_but_once(receive: Receive) -> None:
    with sender({"erp": target(receive(hanging).url, timeout=SHORT)}) as sending:
        for _ in range(
            100_000
        ):  # more than anything between two threads can hold; it takes longer than the request may
            sending.wake()
        sending.begin([due()])
        assert sending.finished(PATIENCE) == []
        assert [outcome.wire for _, outcome in sending.finished(PATIENCE)] == [Wire.TIMEOUT]


def test_to_wake_what_is_closed_does_nothing() -> None:
    sending = sender({})
    sending.close()
    sending.wake()


def test_with_nothing_open_there_is_nothing_to_wait_for() -> None:
    started_at = now()
    with sender({}) as sending:
        assert sending.finished(PATIENCE) == []
    assert now() - started_at < PATIENCE


def test_an_unknown_endpoint_is_refused_and_nothing_begun(receive: Receive) -> None:
    receiver = receive(answering(204))
    with sender({"erp": target(receiver.url)}) as sending:
        with pytest.raises(ValueError, match="no such endpoint: books, crm"):
            sending.begin([due("erp"), due("crm"), due("books")])
        assert [sending.open, sending.finished(MOMENT), receiver.connections] == [0, [], 0]


class Unsigned(UserDict[str, Target]):
    """There is nothing to sign with for `books`."""

    def __getitem__(self, name: str) -> Target:
        if name == "books":
            raise ConfigurationError(["key: it can't be opened"])
        return self.data[name]


def test_an_endpoint_that_nothing_can_be_signed_for_fails_alone(receive: Receive) -> None:
    receiver = receive(answering(204))
    to_any = target(receiver.url)
    with sender(Unsigned({"erp": to_any, "books": to_any, "crm": to_any})) as sending:
        sending.begin([due(name) for name in ("erp", "books", "books", "crm")])
        assert sending.open_by_endpoint == {"erp": 1, "books": 2, "crm": 1}
        wires = sorted((one.endpoint, outcome.wire) for one, outcome in all_finished(sending))
        assert sending.open_by_endpoint == {}
    assert wires == [("books", Wire.FAILED)] * 2 + [("crm", Wire.ANSWERED), ("erp", Wire.ANSWERED)]
    assert len(receiver.requests) == 2


def test_more_than_there_is_room_for_is_refused(receive: Receive) -> None:
    with sender({"erp": target(receive(answering(204)).url)}, limit=2) as sending:
        with pytest.raises(ValueError, match="room for 2, not for 3"):
            sending.begin([due(), due(), due()])
        assert sending.room == 2


def test_closing_abandons_what_is_open(receive: Receive) -> None:
    sending = sender({"erp": target(receive(hanging).url)})
    sending.begin([due()])
    sending.close()
    assert sending.open == 0


def test_a_rotated_secret_signs_what_is_begun_after_it(receive: Receive) -> None:
    receiver = receive(answering(204))
    targets: dict[str, Target] = {"erp": target(receiver.url)}
    fixed = datetime(2026, 11, 21, tzinfo=UTC)
    one = due()
    with sender(targets, clock=lambda: fixed) as sending:
        for secrets in ((KEY,), (KEY,), (b"a new secret of enough bytes", KEY)):
            targets["erp"] = replace(targets["erp"], secrets=secrets)
            sending.begin([one])
            all_finished(sending)
    first, second, third = (request.headers["webhook-signature"].split(" ") for request in receiver.requests)
    assert [first == second, third[1:] == first, len(third)] == [True, True, 2]


def test_what_was_open_at_a_change_ends_as_it_began(receive: Receive) -> None:
    gathering = Gathering(2)
    receiver = receive(gathering)
    targets = {"erp": target(receiver.url)}
    with sender(targets, idle=timedelta(0)) as sending:
        sending.begin([due()])
        targets["erp"] = target(receiver.url, headers={"X-Changed": "yes"})
        sending.begin([due()])
        assert [outcome.status_code for _, outcome in all_finished(sending)] == [204, 204]
        sending.begin([due()])
        all_finished(sending)
    assert sorted("x-changed" in request.headers for request in receiver.requests) == [False, True, True]


def test_an_endpoint_idle_for_long_lets_its_connections_go(receive: Receive) -> None:
    receiver, other = receive(answering(204)), receive(answering(204))
    with sender({"erp": target(receiver.url), "crm": target(other.url)}, idle=timedelta(0)) as sending:
        for name in ("erp", "crm", "erp"):
            sending.begin([due(name)])
            all_finished(sending)
    assert [receiver.connections, other.connections] == [2, 1]


def test_an_error_in_our_own_code_is_raised_and_no_outcome_is_lost(receive: Receive) -> None:
    calls = count(1)

    def clock() -> datetime:
        if next(calls) == 2:  # the first for the claim and the signature, the second when the status arrives
            raise RuntimeError("the clock stopped")
        return now()

    one = due()
    with sender({"erp": target(receive(answering(204)).url)}, clock=clock) as sending:
        sending.begin([one])
        with pytest.raises(RuntimeError, match="the clock stopped"):
            sending.finished(PATIENCE)
        assert [(ended, outcome.wire) for ended, outcome in sending.finished(PATIENCE)] == [(one, Wire.FAILED)]


def test_an_error_in_the_guard_is_raised_and_nothing_sent(receive: Receive) -> None:
    receiver = receive(answering(204))
    with sender({"erp": target(receiver.url, allow_networks=("no network",))}) as sending:
        sending.begin([due()])
        with pytest.raises(TypeError):
            sending.finished(PATIENCE)
        [(_, outcome)] = sending.finished(PATIENCE)
    assert [outcome.wire, receiver.connections] == [Wire.FAILED, 0]


def test_an_error_in_watching_sockets_is_not_lost(receive: Receive) -> None:
    class Broken(Sockets[Lane | Bell]):
        def watch(self, *_: object) -> None:
            raise RuntimeError("the selector broke")

    failures: list[Exception] = []
    with closing(Broken()) as sockets:
        surroundings = Surroundings(sockets=sockets, user_agent="T", clock=now, limit=1, failures=failures)
        lane = Lane(target(receive(hanging).url), surroundings)
        lane.begin(due(), now())
        lane.act()
        lane.close()
    assert str(failures[0]) == "the selector broke"


def test_closing_twice_is_closing() -> None:
    sending = sender({})
    sending.close()
    sending.close()
    assert sending.open == 0


def test_a_receiver_that_closes_kept_connections_loses_nothing(receive: Receive) -> None:
    def closing(visit: object) -> bool:
        answering(204)(visit)  # type: ignore[arg-type]
        return False

    with sender({"erp": target(receive(closing).url)}) as sending:
        wires = []
        for _ in range(5):
            sending.begin([due()])
            wires += [outcome.wire for _, outcome in all_finished(sending)]
    assert wires == [Wire.ANSWERED] * 5
