import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet

from tests.integration.cli.desk import Desk
from tests.integration.signing.house import verifies_by_public_key
from tests.integration.webhooks.receivers import Request
from worker.sandbox import PATH, Sandbox

KEY_LINE = "the stored secret of endpoint own was sealed with another key; add that key too"


@pytest.fixture
def own(desk: Desk, sandbox: Sandbox) -> Desk:
    """An endpoint without a configured secret."""
    desk.configure({}, {"own": keys_of(sandbox)})
    return desk


def keys_of(sandbox: Sandbox, **more: object) -> dict[str, object]:
    return {key: value for key, value in sandbox.endpoints()["sandbox"].items() if key != "secret"} | more


def secrets(desk: Desk, name: str = "own") -> list[str]:
    return desk.tocsin("endpoints", "secret", name).out.splitlines()


def test_rotate_keeps_the_old_secret_for_a_day_and_prints_none(own: Desk) -> None:
    [old] = secrets(own)
    before = datetime.now(UTC)
    said = own.tocsin("endpoints", "rotate", "own")
    new, *rest = secrets(own)
    first, second = said.out.splitlines()
    assert (said.code, rest, new == old) == (0, [old], False)
    assert [secret for secret in (old, new) if secret in said.out + said.err] == []
    until = datetime.fromisoformat(first.removeprefix("own has a new secret; the old one signs too until "))
    assert timedelta(days=1) <= until - before <= timedelta(days=1, minutes=1)
    assert second == "give its receiver what `tocsin endpoints secret own` prints, the newest first"


def test_rotate_keeps_the_old_secret_for_as_long_as_asked(own: Desk) -> None:
    [old] = secrets(own)
    said = own.tocsin("endpoints", "rotate", "own", "--overlap", "0s")
    assert (said.code, said.out.splitlines()[0]) == (0, "own has a new secret; the old one signs nothing more")
    assert (len(secrets(own)), old in secrets(own)) == (1, False)


@pytest.mark.parametrize("overlap", ["soon", "-1h", "366d", "1"])
def test_an_overlap_that_is_none_is_refused_and_nothing_changes(own: Desk, overlap: str) -> None:
    before = secrets(own)
    said = own.tocsin("endpoints", "rotate", "own", f"--overlap={overlap}")
    assert (said.code, secrets(own)) == (2, before)


def test_a_configured_secret_is_not_rotated_and_it_is_said_how_to(configured: Desk, sandbox: Sandbox) -> None:
    said = configured.tocsin("endpoints", "rotate", "sandbox")
    [line] = said.complaints
    assert (said.code, said.out, secrets(configured, "sandbox")) == (2, "", [sandbox.secret])
    assert line.startswith("endpoints.sandbox.secret: stands in the configuration; to rotate it, put the new one")


@pytest.mark.parametrize("words", [("endpoints", "rotate", "nobody")])
def test_an_endpoint_that_is_not_configured_is_not_rotated(own: Desk, words: tuple[str, ...]) -> None:
    said = own.tocsin(*words)
    assert (said.code, said.complaints) == (2, ['"nobody" is not an endpoint; known: own'])


def test_several_configured_secrets_are_printed_in_their_order(desk: Desk, sandbox: Sandbox) -> None:
    texts = ["whsec_" + base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2)]
    desk.configure({}, {"own": keys_of(sandbox, secret=texts)})
    assert secrets(desk) == texts


def test_a_public_key_is_printed_and_never_the_private_one(desk: Desk, sandbox: Sandbox) -> None:
    desk.configure({}, {"own": keys_of(sandbox, signing="ed25519")})
    [public] = secrets(desk)
    assert desk.tocsin("endpoints", "test", "own").code == 0
    [one] = sandbox.receiver.received(PATH)
    assert public.startswith("whpk_")
    assert verifies_by_public_key(Request("", dict(one.headers), one.body), public)


def test_a_test_goes_out_in_the_endpoints_format(desk: Desk, sandbox: Sandbox) -> None:
    desk.configure({}, {"own": keys_of(sandbox, format="cloudevents")})
    sandbox.receiver.open(PATH, *secrets(desk))
    assert desk.tocsin("endpoints", "test", "own").code == 0
    [one] = sandbox.receiver.received(PATH)
    assert (one.verified, one.headers["content-type"]) == (True, "application/cloudevents+json")
    assert one.content == {
        "specversion": "1.0",
        "id": one.webhook_id,
        "source": "/tocsin",
        "type": "tocsin.test",
        "time": one.content["time"],
        "datacontenttype": "application/json",
        "data": {},
    }


def test_notifications_go_out_in_the_endpoints_format_with_the_same_data(desk: Desk, sandbox: Sandbox) -> None:
    usual = {"source": {**sandbox.sources()["bookkeep"], "every": "1h"}}
    other = {**sandbox.endpoints()["sandbox"], "url": sandbox.receiver.url("/cloud"), "format": "cloudevents"}
    desk.configure(usual, {"standard": sandbox.endpoints()["sandbox"], "cloud": other})
    sandbox.receiver.open("/cloud", sandbox.secret)
    sandbox.publish(3, "bookkeep")
    desk.tocsin("poll", "source")
    assert desk.deliver() == 6
    standard = {one.webhook_id: one for one in sandbox.receiver.received(PATH)}
    cloud = {one.webhook_id: one for one in sandbox.receiver.received("/cloud")}
    assert [one.verified for one in (*standard.values(), *cloud.values())] == [True] * 6
    for identity, one in standard.items():
        event = cloud[identity].content
        assert (event["data"], event["type"], event["time"]) == (
            one.content["data"], one.content["type"], one.content["timestamp"],
        )  # fmt: skip
        assert (event["subject"], event["source"]) == (one.content["data"]["id"], "/tocsin/sources/source")


def test_rotate_key_gives_an_embedded_database_a_new_key(own: Desk) -> None:
    before, key = secrets(own), (own.folder / "tocsin.db.key").read_text()
    said = own.tocsin("rotate-key")
    assert (said.code, said.out.splitlines()) == (
        0,
        [
            "sealed anew: 1 endpoint secrets, 0 tokens; 0 were sealed so already",
            "tocsin.db.key holds a new key, and no other",
        ],
    )
    after = (own.folder / "tocsin.db.key").read_text()
    assert (secrets(own), key.strip() in after, key in said.out, after in said.out) == (before, False, False, False)


@pytest.mark.parametrize("separator", [",", "\n", " , "])
def test_rotate_key_seals_everything_with_the_first_configured_key(own: Desk, separator: str) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    own.environ["TOCSIN_KEY"] = old
    before = secrets(own)
    own.environ["TOCSIN_KEY"] = separator.join((new, old))
    said = own.tocsin("rotate-key")
    assert (said.code, said.out.splitlines()) == (
        0,
        [
            "sealed anew: 1 endpoint secrets, 0 tokens; 0 were sealed so already",
            "the first key opens everything; the others are of no more use",
        ],
    )
    own.environ["TOCSIN_KEY"] = new
    assert secrets(own) == before
    assert own.tocsin("rotate-key").out == "sealed anew: 0 endpoint secrets, 0 tokens; 1 were sealed so already\n"


def test_several_keys_may_stand_in_a_file(desk: Desk, sandbox: Sandbox) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    desk.write(f"{old}\n", "keys")
    desk.configure({}, {"own": keys_of(sandbox)}, key={"file": "keys"})
    before = secrets(desk)
    desk.write(f"{new}\n{old}\n", "keys")
    assert (secrets(desk), desk.tocsin("rotate-key").code) == (before, 0)
    desk.write(f"{new}\n", "keys")
    assert secrets(desk) == before


def test_rotate_key_names_a_secret_that_no_key_opens_and_exits_1(own: Desk) -> None:
    secrets(own)
    own.environ["TOCSIN_KEY"] = Fernet.generate_key().decode()
    said = own.tocsin("rotate-key")
    assert (said.code, said.complaints) == (
        1, ["key: a stored secret of endpoint own was sealed with another key; add that key too"],
    )  # fmt: skip


def test_a_daemon_without_the_right_key_says_so_and_does_not_start(own: Desk) -> None:
    secrets(own)
    own.environ["TOCSIN_KEY"] = Fernet.generate_key().decode()
    said = own.finished("run")
    assert (said.code, said.err.splitlines()) == (2, [f"key: {KEY_LINE}"])


def test_check_says_that_a_stored_secret_cannot_be_opened(own: Desk) -> None:
    secrets(own)
    assert own.tocsin("check").code == 0
    own.environ["TOCSIN_KEY"] = Fernet.generate_key().decode()
    said = own.tocsin("check")
    assert (said.code, KEY_LINE in said.out) == (1, True)


def test_check_names_a_bad_file_for_tls_by_its_key_path(desk: Desk, sandbox: Sandbox) -> None:
    desk.write("no certificate", "ca.pem")
    desk.configure({}, {"own": keys_of(sandbox, ca="ca.pem")})
    expected = 'endpoints.own.ca: "ca.pem" holds no certificates in PEM (-----BEGIN CERTIFICATE-----)'
    for words in (("check",), ("check", "--offline"), ("run",)):
        said = desk.tocsin(*words)
        assert (said.code, said.complaints) == (2, [expected])
