"""The stand-in for Realtime Register against PROVIDERS, section 1."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests

from worker.sandbox import HandClock, Sandbox

Ask = Callable[..., requests.Response]


@pytest.fixture
def ids(sandbox: Sandbox, clock: HandClock) -> list[int]:
    """Twelve rows, a minute apart, oldest first."""
    made = []
    for _ in range(12):
        made.append(int(sandbox.publish(1, "realtime_register")[0].external_id))
        clock.turn(timedelta(minutes=1))
    return made


def listed(response: requests.Response) -> list[int]:
    return [entity["id"] for entity in response.json()["entities"]]


def test_a_list_without_parameters_holds_ten_rows(registrar: Ask, ids: list[int]) -> None:
    answer = registrar().json()
    assert len(answer["entities"]) == 10
    assert answer["pagination"] == {"limit": 10, "offset": 0, "total": len(ids)}


def test_limit_and_offset_select_rows_of_the_ordered_list(registrar: Ask, ids: list[int]) -> None:
    assert listed(registrar(query="order=fireDate&order=id&limit=4&offset=4")) == ids[4:8]
    assert listed(registrar(query="order=-id&limit=3")) == ids[::-1][:3]
    assert listed(registrar(query="order=id&limit=3&offset=12")) == []


def test_a_trailing_slash_makes_no_difference(registrar: Ask, ids: list[int]) -> None:
    assert listed(registrar("/", "order=id&limit=1")) == ids[:1]


def test_limit_zero_counts_and_holds_no_entities(registrar: Ask, ids: list[int]) -> None:
    assert registrar(query="limit=0").json() == {"pagination": {"limit": 0, "offset": 0, "total": len(ids)}}


def test_total_false_leaves_the_total_out(registrar: Ask, ids: list[int]) -> None:
    assert registrar(query=f"total=false&id={ids[0]}").json()["pagination"] == {"limit": 10, "offset": 0}


def test_export_gives_every_row_with_nothing_but_its_id(registrar: Ask, ids: list[int]) -> None:
    assert registrar(query="export=true&order=id").json()["entities"] == [{"id": one} for one in ids]


def test_fields_are_selected_beside_the_id(registrar: Ask, ids: list[int]) -> None:
    assert set(registrar(f"/{ids[0]}", "fields=message,reasons").json()) == {"id", "message"}


def test_free_text_is_searched_in_all_fields(registrar: Ask, ids: list[int]) -> None:
    domain = registrar(f"/{ids[3]}").json()["processIdentifier"]
    assert listed(registrar(query=f"q={domain}")) == [ids[3]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("id={2}", [2]),
        ("id:eq={2}", [2]),
        ("id:ne={2}&id:lt={4}", [0, 1, 3]),
        ("id:gt={9}", [10, 11]),
        ("id:gte={9}", [9, 10, 11]),
        ("id:lte={1}", [0, 1]),
        ("id:in={1},{3}", [1, 3]),
        ("id:not_in={1},{3}&id:lt={4}", [0, 2]),
        ("fireDate:gte=2026-03-20T12:10:00Z", [10, 11]),
        ("fireDate:gt=2026-03-20T12:10:00Z", [11]),
        ("fireDate:lt=2026-03-20T13:01:00%2B01:00", [0]),
        ("fireDate%3Alte=2026-03-20T12:01:00Z", [0, 1]),
        ("readDate:not_null=", []),
        ("readDate:gte=2020-01-01T00:00:00Z", []),
        ("acknowledgeDate:null=&id:lt={1}", [0]),
        ("message:like=%25%27%25&id:lt={1}", [0]),
        ("message:not_like=%25&id:lt={1}", []),
    ],
)
def test_filters_admit_the_rows_that_they_name(registrar: Ask, ids: list[int], query: str, expected: list[int]) -> None:
    asked = query.format(*ids) + "&order=id&limit=100"
    assert listed(registrar(query=asked)) == [ids[place] for place in expected]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=abc", "limit"),
        ("offset=-1", "offset"),
        ("order=createdDate:desc", "order"),
        ("colour=red", "colour"),
        ("id:near=3", "id:near"),
        ("id:gt=abc", "id:gt"),
        ("fireDate:gte=yesterday", "fireDate:gte"),
    ],
)
def test_a_bad_parameter_is_a_constraint_violation_that_names_it(
    registrar: Ask, ids: list[int], query: str, field: str
) -> None:
    response = registrar(query=query)
    content: dict[str, Any] = response.json()
    assert (len(ids), response.status_code, content["type"]) == (12, 400, "ConstraintViolationException")
    assert content["violations"][0]["field"] == field


def test_an_unknown_id_is_a_400_that_says_so(registrar: Ask) -> None:
    response = registrar("/4711")
    assert (response.status_code, response.json()["type"]) == (400, "ObjectDoesNotExist")


def test_an_id_that_is_no_number_violates_a_constraint(registrar: Ask) -> None:
    assert registrar("/abc").json()["violations"][0]["field"] == "notificationId"


def test_another_customer_does_not_exist(sandbox: Sandbox, registrar: Ask) -> None:
    sandbox.realtime_register.customer = "somebody-else"
    assert registrar().json()["type"] == "ObjectDoesNotExist"


def test_one_row_is_the_same_by_id_as_in_the_list(registrar: Ask, ids: list[int]) -> None:
    assert registrar(f"/{ids[5]}").json() == registrar(query=f"id={ids[5]}").json()["entities"][0]


def test_a_row_is_acknowledged_once(sandbox: Sandbox, registrar: Ask, ids: list[int]) -> None:
    assert registrar(f"/{ids[0]}/ack", method="POST").status_code == 200
    again = registrar(f"/{ids[0]}/ack", method="POST")
    assert registrar(f"/{ids[0]}").json()["acknowledgeDate"] == "2026-03-20T12:12:00Z"
    assert (again.status_code, again.json()["type"]) == (400, "ObjectStatusProhibitsOperation")
    assert registrar("/4711/ack", method="POST").json()["type"] == "ObjectDoesNotExist"
    assert sandbox.realtime_register.acknowledged == [str(ids[0])]


def test_poll_shows_the_first_that_is_not_acknowledged(registrar: Ask, ids: list[int]) -> None:
    registrar(f"/{ids[0]}/ack", method="POST")
    answer = registrar("/poll").json()
    assert (answer["count"], answer["notification"]["id"]) == (11, ids[1])


def test_poll_of_an_empty_queue_holds_no_notification(registrar: Ask) -> None:
    assert registrar("/poll").json() == {"count": 0}


def test_other_paths_and_methods_are_not_found(registrar: Ask, ids: list[int]) -> None:
    assert registrar(f"/{ids[0]}", method="DELETE").status_code == 404
    assert registrar("/1/2").status_code == 404


def test_a_wrong_key_is_refused_and_who_goes_on_is_rate_limited(
    sandbox: Sandbox, registrar: Ask, session: requests.Session
) -> None:
    good = session.headers["Authorization"]
    session.headers["Authorization"] = "ApiKey wrong"
    types = [registrar().json()["type"] for _ in range(6)]
    assert types == ["AuthenticationError"] * 5 + ["AuthenticationRatelimitedError"]
    session.headers["Authorization"] = good
    assert registrar().status_code == 429
    sandbox.realtime_register.forgive()
    assert registrar().status_code == 200


def test_rows_without_a_date_come_last_in_either_direction(sandbox: Sandbox, registrar: Ask, ids: list[int]) -> None:
    sandbox.realtime_register.ledger.publish("1", {"id": 1, "fireDate": "some day"})
    assert listed(registrar(query="order=fireDate&limit=100"))[-1] == 1
    assert listed(registrar(query="order=-fireDate&limit=100")) == [*ids[::-1], 1]
