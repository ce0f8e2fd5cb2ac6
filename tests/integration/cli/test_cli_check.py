from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.desk import Desk, Said
from worker.sandbox import GARBLED, Answer, Fail, Refuse, Sandbox


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
    assert finding(configured.tocsin("check"), "database") == "ok; schema 0001"


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
