"""No secret is ever in a log line, an error message, a table or a stored answer (INTERFACE, section 5)."""

import base64
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import ExitStack, closing
from functools import partial
from urllib.parse import quote

import pytest
from cryptography.fernet import Fernet

from tests.acceptance.processes import COMMAND, Tocsin
from worker.sandbox import GARBLED, Answer, BreakOff, Cut, Fail
from worker.sandbox.api import Api
from worker.sandbox.wire import Request

_KEY = Fernet.generate_key().decode()
_SIGNING = "whsec_" + base64.b64encode(b"a signing secret, thirty-two by.").decode()
_PRIVATE = "whsk_" + base64.b64encode(b"a private key of thirty-two byte").decode()
_WORDS = {
    "api_key": "Xk0api9key8of7registrar",
    "basic_key": "Xk1publishable9key",
    "basic_secret": "Xk2secret9key8of7bookkeep",
    "client_secret": "Xk3client9secret8of7govapp",
    "bearer": "Xk4bearer9token8of7govapp",
    "header": "Xk5source9header8value",
    "endpoint_header": "Xk6endpoint9header8value",
    "url_user": "Xk7user",
    "url_password": "Xk8password9of8url",
    "url_query": "Xk9query9of8url",
    "broker": "Xk10password9of8broker",
    "token_query": "Xk11token9url8query",
    "base_query": "Xk12base9url8password",
    "given_token": "sandbox-token-",
}
_PAIRS = (("basic_key", "basic_secret"), ("url_user", "url_password"), ("url_user", "base_query"))
_SENT = ("endpoint_header", "url_password", "url_query")
"""What a receiver is told, and may say again."""
_COMMANDS = (
    ("check",),
    ("status",),
    ("status", "--json"),
    ("endpoints", "list", "--json"),
    ("endpoints", "test", "failing"),
    ("endpoints", "test", "away"),
    ("deliveries", "list", "--json"),
    ("rejected", "list", "--json"),
    ("poll", "registrar"),
    ("poll", "fixed"),
    ("poll", "nowhere"),
)


def repeats_everything(request: Request) -> bytes:
    """What an indiscreet server says: the whole request again."""
    headers = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
    return f"{request.method} {request.path} {request.query}\n{headers}\n".encode()


@pytest.fixture
def full_of_secrets(tocsin: Tocsin) -> Tocsin:
    """A secret in every field that can hold one; receivers and providers that fail in many ways."""
    sandbox, words = tocsin.sandbox, _WORDS
    sandbox.realtime_register.api_key = words["api_key"]
    sandbox.bookkeep.publishable_key, sandbox.bookkeep.secret_key = words["basic_key"], words["basic_secret"]
    sandbox.govapp.tokens.client_secret, sandbox.govapp.bearer = words["client_secret"], words["bearer"]
    registrar, books, govapp = (api.settings() for api in sandbox.apis.values())
    with_password = f"://{words['url_user']}:{quote(words['base_query'])}@"
    every = {"every": "1s", "start_at": "beginning", "headers": {"X-Secret": words["header"]}}
    auth = {**govapp["auth"], "token_url": f"{govapp['auth']['token_url']}?key={words['token_query']}"}
    sources = {
        "registrar": {**registrar, **every},
        "books": {**books, **every},
        "govapp": {**govapp, **every, "auth": auth},
        "fixed": {**govapp, **every, "auth": {"kind": "bearer", "token": words["bearer"]}},
        "nowhere": {**registrar, **every, "base_url": f"http{with_password}127.0.0.1:1/v2"},
    }
    own = {"secret": _SIGNING, "headers": {"X-Team": words["endpoint_header"]}, "allow_networks": ["127.0.0.0/8"]}
    credentials = f"{words['url_user']}:{words['url_password']}@"
    origin = sandbox.receiver.server.url.removeprefix("http://")
    endpoints = {
        "failing": {**own, "url": f"http://{credentials}{origin}/failing?key={words['url_query']}"},
        "away": {**own, "url": f"http://{credentials}127.0.0.1:1/away?key={words['url_query']}"},
        "unknown": {**own, "url": f"https://{credentials}unknown.invalid/?key={words['url_query']}"},
        "keyed": {**own, "signing": "ed25519", "secret": _PRIVATE, "url": f"http://{credentials}{origin}/keyed"},
        "changing": {**own, "secret": [_SIGNING, _SIGNING], "url": f"http://{credentials}{origin}/changing"},
        "blocked": {**own, "allow_networks": [], "url": f"http://{credentials}{origin}/x?key={words['url_query']}"},
    }
    tocsin.write({"key": _KEY}, {"sources": sources, "endpoints": endpoints})
    sandbox.receiver.open("/failing", _SIGNING)
    return tocsin


def secrets(of: Collection[str] = tuple(_WORDS)) -> list[str]:
    """These secrets, also as they look on the wire, and the keys."""
    basic = [(user, word) for user, word in _PAIRS if word in of]
    encoded = [base64.b64encode(f"{_WORDS[user]}:{_WORDS[word]}".encode()).decode() for user, word in basic]
    return [*(_WORDS[name] for name in of), *encoded, _SIGNING]


def everything_in(tocsin: Tocsin) -> list[str]:
    with closing(sqlite3.connect(tocsin.folder / "tocsin.db")) as connection:
        return list(connection.iterdump())


def leaked(text: str) -> list[str]:
    found = [*secrets(), *(text.partition("_")[2].rstrip("=") for text in (_SIGNING, _PRIVATE)), _KEY]
    return [line for line in text.splitlines() if any(secret in line for secret in found)]


def trouble(tocsin: Tocsin) -> None:
    """Everything that can go wrong, one after the other; some servers say again all that they were told."""
    sandbox = tocsin.sandbox
    told = " ".join(secrets(_SENT)).encode()
    replies = (Answer(500, told), Answer(401, told), Answer(429, told), BreakOff(), Cut(), Answer(200, told))
    sandbox.receiver.script("/failing", *replies)
    for api in sandbox.apis.values():
        api.faults.next(GARBLED, Fail(500), Cut(), BreakOff(), Fail(429, {"Retry-After": "1"}))
        api.meanwhile = partial(_echo, api)
    sandbox.publish(12)


def _echo(api: Api, request: Request) -> None:
    """Every third request is refused with all that was in it."""
    if request.number % 3 == 0:
        api.faults.next(Answer(400, repeats_everything(request), {"Content-Type": "text/plain"}))


def all_of(tocsin: Tocsin, commands: Sequence[Sequence[str]]) -> list[tuple[Sequence[str], int, str, str]]:
    """These commands, side by side: each with its exit status, standard output and standard error."""
    with ExitStack() as running:
        begun = [(words, running.enter_context(tocsin.start(*COMMAND, *words))) for words in commands]
        return [(words, process.ended(), process.stdout, process.stderr) for words, process in begun]


def test_no_secret_is_in_the_log_of_a_run_nor_in_any_commands_output(full_of_secrets: Tocsin) -> None:
    sandbox = full_of_secrets.sandbox
    trouble(full_of_secrets)
    full_of_secrets.environ["TOCSIN_LOG_LEVEL"] = "debug"
    with full_of_secrets.run() as run:
        run.until(lambda: len(sandbox.receiver.received("/failing")) > 6, "there is an attempt for each trouble")
        run.until(lambda: run.stderr.count("poll.failing") >= 4, "each source has failed")
        assert run.stopped() == 0
        said = run.stdout + run.stderr

    for api in sandbox.apis.values():
        api.faults.refuse()
    assert "delivery.attempted" in said
    assert leaked(said) == []
    notification = full_of_secrets.ask("notifications", "list", "--limit", "1")[0]["id"]
    for words, _, out, err in all_of(full_of_secrets, [*_COMMANDS, ("notifications", "show", notification)]):
        assert leaked(out + err) == [], words
        assert "Traceback" not in err, words
    assert leaked("\n".join(everything_in(full_of_secrets))) == []


def test_the_password_of_a_database_or_a_broker_is_never_said(full_of_secrets: Tocsin) -> None:
    user, password = _WORDS["url_user"], _WORDS["url_password"]
    full_of_secrets.environ |= {
        "TOCSIN_BROKER": f"redis://:{_WORDS['broker']}@127.0.0.1:1/0",
        "TOCSIN_DATABASE": f"postgresql+psycopg://{user}:{password}@127.0.0.1:1/x",
    }

    for words, code, out, err in all_of(full_of_secrets, [("run",), ("status",)]):
        assert code == 2, words
        assert leaked(out + err) == [], words
        assert "Traceback" not in err, words
