"""How a process shares out the requests that it may have open at once."""

from collections import Counter

from worker.store.rooms import Door, Room, Slots


def rooms(*names: str, count: int = 10) -> list[Room]:
    return [Room(Door(number, name), count) for number, name in enumerate(names)]


def given(slots: Slots, found: list[Room]) -> dict[str, int]:
    return {room.endpoint.name: room.count for room in slots.shared_out(found)}


def filled(found: list[Room]) -> Counter[str]:
    """What is open when these have taken all that they may get, and none has ended."""
    opened = Counter[str]()
    while more := given(Slots.among_many(500, opened), found):
        opened.update(more)
    return opened


def test_an_endpoint_alone_may_have_all() -> None:
    assert given(Slots(500), rooms("a", count=500)) == {"a": 500}


def test_among_others_an_endpoint_has_half_at_most() -> None:
    found = rooms("a", count=500)
    assert given(Slots.among_many(500, {}), found) == {"a": 250}
    assert given(Slots.among_many(500, {"a": 240}), found) == {"a": 10}
    assert given(Slots.among_many(500, {"a": 250}), found) == {}


def test_however_many_hang_a_fifth_is_left_for_others() -> None:
    for number in (3, 55, 400):
        assert filled(rooms(*(f"e{each}" for each in range(number)), count=200)).total() == 400


def test_of_the_reserve_each_that_has_nothing_open_gets_one() -> None:
    slots = Slots.among_many(500, {"a": 250, "b": 150})
    assert given(slots, rooms("a", "b", "c", "d")) == {"c": 1, "d": 1}
    assert slots.full == {"a", "b"}


def test_full_is_who_has_half_of_all_open_and_whoever_has_any_once_the_rest_is_taken() -> None:
    assert Slots.among_many(500, {"a": 250, "b": 149, "c": 0}).full == {"a"}
    assert Slots.among_many(500, {"a": 250, "b": 150, "c": 0}).full == {"a", "b"}


def test_where_all_are_open_nobody_gets_more() -> None:
    slots = Slots.among_many(500, Counter(f"e{number}" for number in range(500)))
    assert (slots.free, given(slots, rooms("other"))) == (0, {})


def test_few_slots_are_shared_too() -> None:
    assert given(Slots.among_many(1, {}), rooms("a", "b")) == {"a": 1}
    assert given(Slots.among_many(2, {}), rooms("a", "b")) == {"a": 1, "b": 1}
