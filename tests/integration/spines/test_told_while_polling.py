"""What a poll stores is told of as soon as it is committed, not when the poll has ended."""

from tests.fakes import ScriptedProvider, item, page
from tests.integration.spines.line import Line


def test_each_commit_that_owes_something_is_told_of_before_the_next_page(line: Line) -> None:
    seen: list[set[str]] = []
    line.owed = lambda: seen.append(set(line.known))
    line.poll(ScriptedProvider([page(item("a"), item("b")), page(item("c"), last=True)]))
    assert seen == [{"a", "b"}, {"a", "b", "c"}]


def test_what_brings_nothing_new_is_not_told_of(line: Line) -> None:
    told: list[None] = []
    line.poll(ScriptedProvider([page(item("a"), last=True)]))
    line.owed = lambda: told.append(None)
    line.poll(ScriptedProvider([page(item("a"), last=True)]))
    assert told == []
