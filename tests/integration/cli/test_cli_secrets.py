import base64
from typing import Any

import pytest
from cryptography.fernet import Fernet

from tests.integration.cli.desk import Desk
from worker.sandbox import PATH, Answer, Sandbox

WORDS = [
    ("check", "--offline"),
    ("check",),
    *[("poll", name) for name in ("registrar", "books", "govapp", "basic", "bearer", "closed")],
    *[("poll", name, "--json") for name in ("registrar", "books")],
    *[("endpoints", "test", name) for name in ("sandbox", "closed", "blocked", "keyed", "changing", "own")],
    *[("endpoints", "rotate", name) for name in ("sandbox", "keyed", "changing", "own")],
    ("endpoints", "secret", "keyed"),
    ("rotate-key",),
    *[("endpoints", verb, "closed") for verb in ("disable", "enable")],
    *[("sources", verb, "closed") for verb in ("pause", "resume")],
    ("status",),
    ("status", "--json"),
    *[(noun, "list") for noun in ("sources", "endpoints", "notifications", "deliveries", "rejected")],
    *[(noun, "list", "--json") for noun in ("sources", "endpoints", "notifications", "deliveries", "rejected")],
    ("rejected", "retry"),
    ("redeliver", "1", "999"),
    ("prune",),
    ("migrate",),
]


class Hidden:
    """Makes secrets, and knows them all, also as they are encoded on the wire."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, name: str) -> str:
        return self.known(f"hunter2-{name}")

    def known(self, text: str) -> str:
        self.texts.append(text)
        return text

    def key(self, prefix: str, length: int) -> str:
        """A signing secret; receivers' libraries read it without its padding, too."""
        encoded = base64.b64encode(bytes([len(self.texts)]) * length).decode()
        return f"{prefix}{self.known(encoded.rstrip('='))}{encoded[len(encoded.rstrip('=')) :]}"

    def shown_in(self, text: str) -> list[str]:
        return [secret for secret in self.texts if secret in text]


@pytest.fixture
def hidden(sandbox: Sandbox) -> Hidden:
    hidden = Hidden()
    for text in (
        sandbox.realtime_register.api_key, sandbox.bookkeep.publishable_key, sandbox.bookkeep.secret_key,
        sandbox.govapp.tokens.client_secret, sandbox.govapp.bearer, sandbox.secret,
    ):  # fmt: skip
        hidden.known(text)
    keys = f"{sandbox.bookkeep.publishable_key}:{sandbox.bookkeep.secret_key}"
    hidden.known(base64.b64encode(keys.encode()).decode())
    return hidden


def sources(sandbox: Sandbox, hidden: Hidden) -> dict[str, dict[str, Any]]:
    """A secret in every field of a source that can hold one."""
    usual, header = sandbox.sources(), {"X-Gate": hidden("source-header")}
    port = sandbox.govapp.base_url.removeprefix("http://")
    return {
        "registrar": {**usual["realtime_register"], "headers": header},
        "books": usual["bookkeep"],
        "govapp": usual["govapp"],
        "basic": {
            "provider": "govapp",
            "base_url": f"http://ann:{hidden('base-url')}@{port}",
            "auth": {"kind": "basic", "username": "ann", "password": hidden("password")},
        },
        "bearer": {
            "provider": "govapp",
            "base_url": sandbox.govapp.base_url,
            "auth": {"kind": "bearer", "token": hidden("token")},
        },
        "closed": {
            **usual["bookkeep"],
            "base_url": f"http://ann:{hidden('closed')}@127.0.0.1:9/v1?key={hidden('query')}",
        },
    }


def endpoints(sandbox: Sandbox, hidden: Hidden) -> dict[str, dict[str, Any]]:
    """The same of an endpoint."""
    host = sandbox.receiver.url(PATH).removeprefix("http://")
    usual = {**sandbox.endpoints()["sandbox"], "headers": {"X-Gate": hidden("endpoint-header")}}

    def at(path: str) -> dict[str, Any]:
        return {**usual, "url": sandbox.receiver.url(path)}

    return {
        "sandbox": {**usual, "url": f"http://ann:{hidden('url')}@{host}?key={hidden('url-query')}"},
        "closed": {**usual, "url": f"http://ann:{hidden('closed-url')}@127.0.0.1:9/?key={hidden('closed-query')}"},
        "blocked": {"url": f"http://ann:{hidden('blocked')}@127.0.0.1:9/?key={hidden('blocked-query')}"},
        "keyed": {**at("/keyed"), "signing": "ed25519", "secret": hidden.key("whsk_", 32), "format": "cloudevents"},
        "changing": {**at("/changing"), "secret": [hidden.key("whsec_", 24), hidden.key("whsec_", 64)]},
        "own": {key: value for key, value in at("/own").items() if key != "secret"},
    }


def test_no_command_prints_a_secret_whatever_others_echo(desk: Desk, sandbox: Sandbox, hidden: Hidden) -> None:
    desk.environ["TOCSIN_KEY"] = hidden.known(Fernet.generate_key().decode())
    desk.environ["TOCSIN_BROKER"] = f"redis://:{hidden('broker')}@127.0.0.1:9/0"
    receivers = endpoints(sandbox, hidden)
    desk.configure(sources(sandbox, hidden), receivers)
    for name in ("keyed", "changing"):
        sandbox.receiver.open(f"/{name}")
        sandbox.receiver.script(f"/{name}", then=Answer(500, str(receivers[name]["secret"]).encode()))
    books = sandbox.bookkeep
    keys = base64.b64encode(f"{books.publishable_key}:{books.secret_key}".encode()).decode()
    books.faults.next(*[Answer(400, f"Basic {keys} is {books.publishable_key} and {books.secret_key}".encode())] * 9)
    sandbox.publish(2, "realtime_register")
    sent = "hunter2-endpoint-header hunter2-url-query " + base64.b64encode(b"ann:hunter2-url").decode()
    sandbox.receiver.script(PATH, then=Answer(500, f"{sent} hunter2-url {sandbox.secret}".encode()))
    shown = {}
    for words in WORDS:
        said = desk.tocsin(*words)
        shown[words] = (hidden.shown_in(said.out + said.err), "Traceback" in said.out + said.err)
        if words == ("poll", "registrar"):
            desk.deliver()
    identity = desk.tocsin("notifications", "list", "--json").rows[0]["id"]
    for words in (("notifications", "show", identity), ("notifications", "show", identity, "--json")):
        shown[words] = (hidden.shown_in(desk.tocsin(*words).out), False)
    assert {words: found for words, found in shown.items() if found != ([], False)} == {}


def test_what_each_command_of_secrets_says_holds_none(desk: Desk, sandbox: Sandbox, hidden: Hidden) -> None:
    """The secrets that are made and rotated, and the keys that seal them, before and after."""
    desk.configure({}, endpoints(sandbox, hidden))
    commands, said = (("endpoints", "rotate", "own"), ("endpoints", "test", "own"), ("rotate-key",)), []
    for _ in range(2):
        said += [desk.tocsin(*words) for words in commands]
        for text in desk.tocsin("endpoints", "secret", "own").out.splitlines():
            hidden.known(text.removeprefix("whsec_").rstrip("="))
        hidden.known((desk.folder / "tocsin.db.key").read_text().strip())
    assert [hidden.shown_in(one.out + one.err) for one in said] == [[]] * 6


def test_a_secret_that_cannot_be_opened_is_not_in_the_error(desk: Desk, sandbox: Sandbox, hidden: Hidden) -> None:
    desk.configure({}, endpoints(sandbox, hidden))
    for text in desk.tocsin("endpoints", "secret", "own").out.splitlines():
        hidden.known(text)
    desk.environ["TOCSIN_KEY"] = hidden.known(Fernet.generate_key().decode())
    hidden.known("gAAAA")  # how whatever is sealed begins
    words = (("endpoints", "secret", "own"), ("endpoints", "test", "own"), ("rotate-key",), ("check",), ("run",))
    said = [desk.tocsin(*each) for each in words]
    assert [(one.code, hidden.shown_in(one.out + one.err), "Traceback" in one.err) for one in said] == [
        (2, [], False), (2, [], False), (1, [], False), (1, [], False), (2, [], False),
    ]  # fmt: skip


def test_only_secret_prints_one(desk: Desk, sandbox: Sandbox, hidden: Hidden) -> None:
    desk.configure({}, endpoints(sandbox, hidden))
    said = desk.tocsin("endpoints", "secret", "sandbox")
    assert hidden.shown_in(said.out) == [sandbox.secret]
    assert hidden.shown_in(said.err) == []
