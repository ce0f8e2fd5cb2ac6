from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import AT
from tests.integration.cli.desk import Desk, Said
from worker import inspection
from worker.sandbox import GARBLED, Answer, Fail, Refuse, Sandbox
from worker.sandbox.configuration import written
from worker.store import schema


def finding(said: Said, subject: str) -> str:
    (line,) = [line for line in said.out.splitlines() if line.startswith(f"{subject}: ")]
    return line.removeprefix(f"{subject}: ")


def test_check_says_of_all_that_is_well_that_it_is(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.publish(2, "bookkeep")
    said = configured.tocsin("check")
    assert said.code == 0
    assert said.out.splitlines() == [
        f"{configured.folder}/tocsin.toml: ok",
        "database: ok; schema none yet; `tocsin run` makes it",
        "sources.realtime_register: ok; reachable, credentials accepted, 0 items understood",
        "sources.bookkeep: ok; reachable, credentials accepted, 2 items understood",
        "sources.govapp: ok; reachable, credentials accepted, 0 items understood",
        "endpoints.sandbox: ok; 127.0.0.1 is 127.0.0.1",
    ]


def test_check_writes_nothing(configured: Desk) -> None:
    configured.tocsin("check")
    assert configured.files() == {"tocsin.toml"}


def test_check_offline_asks_nobody(configured: Desk, sandbox: Sandbox) -> None:
    said = configured.tocsin("check", "--offline")
    assert (said.code, said.out) == (0, f"{configured.folder}/tocsin.toml: ok; 3 sources, 1 endpoints\n")
    assert [len(api.requests) for api in sandbox.apis.values()] == [0, 0, 0]
    assert configured.files() == {"tocsin.toml"}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Refuse(), "Mend: check its key, secret or token, and what that may read"),
        (Fail(429, {"Retry-After": "3600"}), "Mend: wait, or poll less often"),
        (Fail(500), "Mend: check base_url, and that this machine reaches it"),
        (GARBLED, "Mend: check base_url and the source's own keys"),
    ],
    ids=["refused", "throttled", "unavailable", "garbled"],
)
def test_check_says_of_a_failing_source_what_to_mend_and_looks_at_the_others(
    configured: Desk, sandbox: Sandbox, fault: Any, words: str
) -> None:
    sandbox.bookkeep.faults.next(*[fault] * 9)
    said = configured.tocsin("check")
    assert said.code == 1
    assert finding(said, "sources.bookkeep").startswith("FAILED; ")
    assert finding(said, "sources.bookkeep").endswith(words)
    assert finding(said, "sources.govapp").startswith("ok; ")
    assert finding(said, "endpoints.sandbox").startswith("ok; ")


def test_check_of_a_provider_that_is_not_there_fails(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.bookkeep.stop()
    said = configured.tocsin("check")
    assert (said.code, finding(said, "sources.bookkeep").startswith("FAILED; ")) == (1, True)


def test_check_tells_of_items_that_it_does_not_understand(configured: Desk, sandbox: Sandbox) -> None:
    sandbox.bookkeep.ledger.publish("1", {"type": "notification", "attributes": {}})
    said = configured.tocsin("check")
    expected = "FAILED; reachable, credentials accepted, 0 items understood, 1 not: it has no usable id"
    assert (said.code, finding(said, "sources.bookkeep")) == (1, expected)


def test_check_refuses_an_endpoint_that_is_not_public_and_not_allowed(desk: Desk) -> None:
    desk.configure({}, {"erp": {"url": "http://127.0.0.1:9/"}})
    said = desk.tocsin("check")
    expected = "FAILED; 127.0.0.1 is 127.0.0.1: not public. Mend: add it to allow_networks if you mean it"
    assert (said.code, finding(said, "endpoints.erp")) == (1, expected)


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", f"{'a' * 70}.example"])
def test_check_refuses_an_endpoint_that_does_not_resolve(desk: Desk, host: str) -> None:
    desk.configure({}, {"erp": {"url": f"https://{host}/hooks"}})
    said = desk.tocsin("check")
    assert (said.code, finding(said, "endpoints.erp")) == (1, f"FAILED; {host} does not resolve. Mend: check its url")


def test_check_knows_the_schema_of_a_database(configured: Desk) -> None:
    configured.tocsin("migrate")
    assert finding(configured.tocsin("check"), "database") == f"ok; schema {schema.HEAD}"


def test_check_of_a_database_that_cannot_be_opened_fails_and_goes_on(configured: Desk) -> None:
    configured.environ["TOCSIN_DATABASE"] = "sqlite:///nowhere/tocsin.db"
    said = configured.tocsin("check")
    expected = "FAILED; database: it can't be used: unable to open database file"
    assert (said.code, finding(said, "database")) == (1, expected)
    assert finding(said, "endpoints.sandbox").startswith("ok; ")


def test_check_of_postgresql_without_a_schema_names_migrate(desk: Desk, postgres_url: str) -> None:
    desk.tocsin("init")
    desk.environ["TOCSIN_DATABASE"] = postgres_url
    said = desk.tocsin("check")
    assert (said.code, finding(said, "database")) == (1, "FAILED; schema none yet; run `tocsin migrate`")


@pytest.mark.parametrize(
    "keys",
    [
        {"provider": "bookkeep", "publishable_key": "p", "secret_key": "s"}
        | {"client_certificate": {"certificate": "no.pem"}},
        {"provider": "bookkeep", "publishable_key": "p", "secret_key": "s", "ca": "no.pem"},
        {
            "provider": "govapp",
            "auth": {
                "kind": "oauth2",
                "token_url": "https://127.0.0.1:9/token",
                "client_id": "c",
                "private_key": {"file": "no.pem"},
            },
        },
    ],
    ids=["certificate", "authority", "private key"],
)
def test_check_of_a_file_that_is_no_key_or_certificate_is_no_traceback(desk: Desk, keys: dict[str, Any]) -> None:
    Path("no.pem").write_text("nothing of the kind", encoding="utf-8")
    desk.configure({"a": {**keys, "base_url": "https://127.0.0.1:9/v1"}}, {"erp": {"url": "https://127.0.0.1:9/"}})
    said = desk.tocsin("check")
    assert said.code in {1, 2}
    assert "Traceback" not in said.out + said.err
    assert [line for line in (said.out + said.err).splitlines() if "sources.a" in line]


def test_check_repeats_no_secret_that_a_provider_echoes(configured: Desk, sandbox: Sandbox) -> None:
    secret = sandbox.bookkeep.secret_key
    sandbox.bookkeep.faults.next(*[Answer(401, f"the key {secret} is wrong".encode())] * 3)
    said = configured.tocsin("check")
    assert (said.code, secret in said.out + said.err) == (1, False)


def _sized(configured: Desk, slug: str, size: int) -> None:
    """The source's pages are asked for so many rows."""
    path = configured.folder / "tocsin.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(f"[sources.{slug}]\n", f"[sources.{slug}]\npage_size = {size}\n"), encoding="utf-8")


@pytest.mark.parametrize("slug", ["realtime_register", "bookkeep", "govapp"])
def test_check_tells_that_the_page_size_is_honoured(configured: Desk, sandbox: Sandbox, slug: str) -> None:
    _sized(configured, slug, 5)
    sandbox.publish(7, slug)
    expected = "ok; reachable, credentials accepted, 5 items understood, pages of 5 as asked for"
    assert finding(configured.tocsin("check"), f"sources.{slug}") == expected


@pytest.mark.parametrize("slug", ["realtime_register", "bookkeep", "govapp"])
def test_check_tells_that_pages_are_capped(configured: Desk, sandbox: Sandbox, slug: str) -> None:
    sandbox.apis[slug].faults.cap(3)
    sandbox.publish(11, slug)
    expected = "ok; reachable, credentials accepted, 3 items understood, pages of 3 where 100 were asked for"
    assert finding(configured.tocsin("check"), f"sources.{slug}") == expected


@pytest.mark.parametrize("slug", ["realtime_register", "bookkeep", "govapp"])
def test_check_takes_few_rows_for_no_cap(configured: Desk, sandbox: Sandbox, slug: str) -> None:
    sandbox.publish(3, slug)
    expected = "ok; reachable, credentials accepted, 3 items understood"
    assert finding(configured.tocsin("check"), f"sources.{slug}") == expected


def test_check_asks_for_one_page_where_that_says_enough(configured: Desk, sandbox: Sandbox) -> None:
    _sized(configured, "bookkeep", 5)
    sandbox.publish(50, "bookkeep")
    configured.tocsin("check")
    assert len(sandbox.bookkeep.requests) == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, ""), (1, ""), (90, ", its clock is 90 s ahead of ours"), (-90, ", its clock is 90 s behind ours")],
)
def test_check_tells_of_a_clock_that_is_off(desk: Desk, seconds: int, words: str) -> None:
    with Sandbox(lambda: AT + timedelta(seconds=seconds)) as sandbox:
        desk.configure_sandbox(sandbox)
        with desk.house(lambda: AT) as house:
            said = {finding.subject: finding.text for finding in inspection.check_sources(house)}
    assert said == dict.fromkeys(
        ("sources.realtime_register", "sources.bookkeep", "sources.govapp"),
        f"reachable, credentials accepted, 0 items understood{words}",
    )


@pytest.mark.parametrize(
    ("cap", "words"), [(None, ""), (3, ", pages of 3 where 20 were asked for")], ids=["honoured", "capped"]
)
def test_check_of_an_api_that_counts_nothing_looks_whether_anything_follows(
    desk: Desk, sandbox: Sandbox, cap: int | None, words: str
) -> None:
    acme = {
        "path": "/notifications",
        "items": "data",
        "id": "id",
        "page": {"kind": "page_number", "number": "page[number]", "size": "page[size]", "ask": 20},
        "auth": {"kind": "basic"},
    }
    keys = {"username": sandbox.bookkeep.publishable_key, "password": sandbox.bookkeep.secret_key}
    source = {"provider": "acme", "base_url": sandbox.bookkeep.base_url, **keys}
    desk.write(written({}, {"providers": {"acme": acme}, "sources": {"books": source}}))
    sandbox.bookkeep.faults.cap(cap)
    rows = sandbox.publish(7, "bookkeep")
    expected = f"ok; reachable, credentials accepted, {cap or len(rows)} items understood{words}"
    assert finding(desk.tocsin("check"), "sources.books") == expected
