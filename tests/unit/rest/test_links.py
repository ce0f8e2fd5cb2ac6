import pytest

from worker.rest.links import next_of


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ('<https://h/?page=2>; rel="next"', "https://h/?page=2"),
        (
            '<https://h/?page=1>; rel="prev", <https://h/?page=3>; rel="next", <https://h/?page=9>; rel="last"',
            "https://h/?page=3",
        ),
        ("<https://h/?a=1,2;3>; rel=next", "https://h/?a=1,2;3"),
        ('</x?page=2>; title="a, b; rel=no"; rel="last NEXT"', "/x?page=2"),
        ('<https://h/>; rel="nextish"', None),
        ('https://h/; rel="next"', None),
        ("<https://h/>", None),
    ],
)
def test_the_next_page_is_the_link_of_that_relation(header: str | None, expected: str | None) -> None:
    assert next_of(header) == expected
