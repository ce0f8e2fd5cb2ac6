from datetime import UTC, datetime, timedelta

from worker.webhooks.answer import LONGEST_BODY, Answer

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def answer(*hidden: bytes) -> Answer:
    return Answer(hidden, lambda: NOW)


def test_the_status_is_the_final_answers() -> None:
    found = answer()
    for line in (b"HTTP/1.1 103 Early Hints\r\n", b"Retry-After: 9\r\n", b"\r\n"):
        found.header(line)
    assert [found.status_code, found.answered_at] == [None, None]
    found.header(b"HTTP/2 204 \r\n")
    assert [found.status_code, found.answered_at, found.retry_after] == [204, NOW, None]


def test_what_is_no_status_line_is_no_status() -> None:
    found = answer()
    found.header(b"HTTP/1.1 OK\r\n")
    assert found.status_code is None


def test_retry_after_is_read_in_any_case() -> None:
    found = answer()
    found.header(b"RETRY-after:  7\r\n")
    assert found.retry_after == timedelta(seconds=7)


def test_the_first_4_kib_are_kept_as_text() -> None:
    found = answer()
    for _ in range(3):
        found.body(b"x" * 3000)
    assert found.excerpt() == "x" * 4096


def test_bytes_that_are_no_text_and_nuls_are_replaced() -> None:
    found = answer()
    found.body(b"a\xffb\0c")
    assert found.excerpt() == "a\ufffdb\ufffdc"


def test_no_body_is_none() -> None:
    assert answer().excerpt() is None


def test_secrets_are_starred_out() -> None:
    found = answer(b"topsecret")
    found.body(b"you said: topsecret, topsecret")
    assert found.excerpt() == "you said: *********, *********"


def test_a_secret_across_the_end_of_the_excerpt_is_starred_out_too() -> None:
    found = answer(b"topsecret")
    found.body(b"x" * 4092 + b"topsecret")
    assert found.excerpt() == "x" * 4092 + "****"


def test_64_kib_are_enough() -> None:
    found = answer()
    assert found.body(b"x" * (LONGEST_BODY - 1)) is None
    assert found.is_full is False
    assert found.body(b"x") == -1
    assert found.is_full is True


def test_a_cleared_answer_knows_nothing_of_the_one_before() -> None:
    found = answer()
    found.header(b"HTTP/1.1 503 Busy\r\n")
    found.header(b"Retry-After: 1\r\n")
    found.body(b"x" * LONGEST_BODY)
    found.clear()
    known = [found.status_code, found.answered_at, found.retry_after, found.excerpt(), found.is_full, found.failure]
    assert known == [None, None, None, None, False, None]
