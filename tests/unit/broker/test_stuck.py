from worker.broker.stuck import forgotten


def test_what_a_request_bears_is_not_forgotten() -> None:
    assert frozenset() == forgotten(["a", "b"], [], ["b", "a", "of an older connection"])


def test_what_was_acknowledged_is_not_forgotten_though_kombu_has_not_let_go_of_it_yet() -> None:
    assert frozenset() == forgotten(["a"], ["a"], [])


def test_what_fills_the_window_and_no_request_bears_is_forgotten() -> None:
    assert frozenset({"b"}) == forgotten(["a", "b", "c"], ["c"], ["a"])
