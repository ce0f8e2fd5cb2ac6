"""What differs from provider to provider, for the one suite that all must pass."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from worker.sandbox import Sandbox
from worker.sandbox.instants import micros, millis, seconds

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One provider: how its rows are spoilt, what its server may do differently, and which texts are secret.

    `dated` puts a text, or nothing at all, where the row says when it happened; `strange` gives words that no page
    documents. `moods` are the ways in which the server may behave where nothing is documented, `logins` the settings
    with which it lets us in; `end_tokens` makes those invalid that it has given, if it gives any. `dates` reads what
    `written` wrote.
    """

    written: Callable[[datetime], str]
    dated: Callable[[Raw, Any], Raw]
    without_id: Callable[[Raw], Raw]
    strange: Callable[[Raw], Raw]
    spoilt_settings: Mapping[str, Any]
    secrets: Callable[[Sandbox], tuple[str, ...]]
    moods: tuple[Callable[[Sandbox], None], ...] = (lambda _: None,)
    logins: tuple[Callable[[Sandbox], Mapping[str, Any]], ...] = (lambda _: {},)
    end_tokens: Callable[[Sandbox], None] = lambda _: None
    dates: Callable[[str], datetime] = datetime.fromisoformat


def _without(raw: Raw, *names: str) -> dict[str, Any]:
    return {name: value for name, value in raw.items() if name not in names}


def _member(name: str) -> Callable[[Raw, Any], Raw]:
    return lambda raw, value: _without(raw, name) if value is None else {**raw, name: value}


def _created_at(raw: Raw, value: Any) -> Raw:
    return {**raw, "attributes": _member("created_at")(raw["attributes"], value)}


def _anonymous_book(raw: Raw) -> Raw:
    return {**_without(raw, "id"), "attributes": _without(raw["attributes"], "id")}


def _strange_book(raw: Raw) -> Raw:
    news = {"state": "Snoozed", "name": "unheard_of", "priority": 7, "data": None, "organization_name": 5}
    return {**raw, "attributes": {**raw["attributes"], **news}, "meta": [1, {"a": None}]}


def _govapp_mood(*, inclusive: bool, omit_empty: bool) -> Callable[[Sandbox], None]:
    def put(sandbox: Sandbox) -> None:
        sandbox.govapp.inclusive, sandbox.govapp.omit_empty = inclusive, omit_empty

    return put


def _client_secret(sandbox: Sandbox) -> Mapping[str, Any]:
    return {"auth": {**sandbox.govapp.settings()["auth"], "scope": "read", "audience": "the-api"}}


def _private_key(sandbox: Sandbox) -> Mapping[str, Any]:
    auth = sandbox.govapp.settings()["auth"]
    del auth["client_secret"]
    return {"auth": {**auth, "private_key": sandbox.govapp.tokens.private_key, "key_id": "k"}}


def _private_key_for_another_audience(sandbox: Sandbox) -> Mapping[str, Any]:
    sandbox.govapp.tokens.audience = "https://login.example/op"
    return {"auth": {**_private_key(sandbox)["auth"], "assertion_audience": "https://login.example/op"}}


def _bearer(sandbox: Sandbox) -> Mapping[str, Any]:
    return {"auth": {"kind": "bearer", "token": sandbox.govapp.bearer}}


def _described(slug: str, **how: Any) -> Case:
    """A provider that is known by its description: a bearer's token, an `id`."""
    wrong = f"wrong-token-of-{slug}"
    return Case(
        without_id=lambda raw: _without(raw, "id"),
        spoilt_settings={"token": wrong},
        secrets=lambda sandbox: (sandbox.apis[slug].settings()["token"], wrong),
        **how,
    )


def _epoch(at: datetime) -> str:
    return str(int(at.timestamp()))


def _created(raw: Raw, value: Any) -> Raw:
    return _member("created")(raw, int(value) if isinstance(value, str) and value.isdecimal() else value)


CASES: Mapping[str, Case] = {
    "github": _described(
        "github",
        written=seconds,
        dated=_member("updated_at"),
        strange=lambda raw: {**raw, "reason": "unheard_of", "unread": "maybe", "subject": 7, "repository": None},
    ),
    "mastodon": _described(
        "mastodon",
        written=millis,
        dated=_member("created_at"),
        strange=lambda raw: {**raw, "type": "admin.unheard_of", "account": None, "status": [1], "group_key": {}},
    ),
    "stripe": _described(
        "stripe",
        written=_epoch,
        dates=lambda text: datetime.fromtimestamp(int(text), UTC),
        dated=_created,
        strange=lambda raw: {**raw, "type": "unheard.of", "data": None, "request": "req_1", "context": ["a"]},
    ),
    "realtime_register": Case(
        written=seconds,
        dated=_member("fireDate"),
        without_id=lambda raw: _without(raw, "id"),
        strange=lambda raw: {
            **raw,
            "eventType": "UnheardOfEvent",
            "notificationType": ["a", "list"],
            "subjectStatus": 7,
            "payload": "no object",
            "severity": {"level": None},
        },
        spoilt_settings={"api_key": "wrong-key-of-realtime-register"},
        secrets=lambda sandbox: (sandbox.realtime_register.api_key, "wrong-key-of-realtime-register"),
    ),
    "bookkeep": Case(
        written=millis,
        dated=_created_at,
        without_id=_anonymous_book,
        strange=_strange_book,
        spoilt_settings={"secret_key": "wrong-key-of-bookkeep"},
        secrets=lambda sandbox: (sandbox.bookkeep.secret_key, "wrong-key-of-bookkeep"),
    ),
    "govapp": Case(
        written=micros,
        dated=_member("createdOn"),
        without_id=lambda raw: _without(raw, "id"),
        strange=lambda raw: {**raw, "status": "SNOOZED", "events": [7, {"type": "BLINKED"}, {}], "topic": None},
        spoilt_settings={"auth": {"kind": "bearer", "token": "wrong-token-of-govapp"}},
        secrets=lambda sandbox: (
            sandbox.govapp.tokens.client_secret,
            "wrong-token-of-govapp",
            *(f"sandbox-token-{number + 1}" for number in range(sandbox.govapp.tokens.issued)),
        ),
        moods=(
            _govapp_mood(inclusive=True, omit_empty=False),
            _govapp_mood(inclusive=False, omit_empty=True),
        ),
        logins=(_client_secret, _private_key, _private_key_for_another_audience, _bearer),
        end_tokens=lambda sandbox: sandbox.govapp.tokens.revoke(),
    ),
}


BEGIN = datetime(2026, 3, 20, 12, 0, 0, 654_321, tzinfo=UTC)
