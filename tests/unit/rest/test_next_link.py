import pytest

from worker.errors import ContractBroken
from worker.rest.paging import Reading, next_link

START = "https://api.example/v1/notifications?page=1"


def test_links_are_followed_to_the_page_that_has_none() -> None:
    pages = {
        START: Reading(rows=[{"id": "1"}], next="/v1/notifications?page=2"),
        "https://api.example/v1/notifications?page=2": Reading(rows=[], next="https://api.example:443/v1/n?page=3"),
        "https://api.example:443/v1/n?page=3": Reading(rows=[{"id": "1"}, {"id": "2"}]),
    }

    read = list(next_link(pages.__getitem__, START, lambda row: row["id"]))

    assert [(page.items, page.last) for page in read] == [([{"id": "1"}], False), ([], False), ([{"id": "2"}], True)]


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://other.example/v1/notifications?page=2",
        "http://api.example/v1/notifications?page=2",
        "https://api.example:8443/v1/notifications?page=2",
        "//other.example/",
        "file:///etc/passwd",
        "https://api.example:port/",
    ],
)
def test_a_link_to_another_origin_is_not_followed(elsewhere: str) -> None:
    pages = {START: Reading(rows=[], next=elsewhere)}

    with pytest.raises(ContractBroken):
        list(next_link(pages.__getitem__, START, lambda row: row["id"]))


def test_a_link_seen_before_is_a_broken_contract() -> None:
    pages = {START: Reading(rows=[{"id": "1"}], next=START)}

    with pytest.raises(ContractBroken, match="read before"):
        list(next_link(pages.__getitem__, START, lambda row: row["id"]))


def test_links_without_end_are_a_broken_contract() -> None:
    def read(address: str) -> Reading:
        return Reading(rows=[], next=f"{address}0")

    with pytest.raises(ContractBroken, match="no end"):
        list(next_link(read, START, lambda row: row["id"]))
