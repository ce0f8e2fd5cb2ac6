"""Stand-ins for GitHub, Stripe and Mastodon, as PROVIDERS section 4 describes their lists; for the tests alone."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random
from typing import Any, ClassVar
from urllib.parse import urlencode

from worker.notification import Status
from worker.sandbox.api import Api, Raws
from worker.sandbox.instants import millis, parsed, seconds
from worker.sandbox.wire import Answer, Request, as_json

Raw = Mapping[str, Any]
KEPT_FOR = timedelta(days=30)


class Standin(Api):
    """What the three have in common: a bearer's token, a list and a get by id. `secret` is the token."""

    secret: ClassVar[str]
    list_path: ClassVar[str]
    item_path: ClassVar[str]

    @property
    def base_url(self) -> str:
        return self.server.url

    def settings(self) -> dict[str, Any]:
        return {"provider": self.slug, "base_url": self.base_url, "token": self.secret}

    def answer(self, request: Request) -> Answer:
        shown = request.headers.get("authorization")
        if shown != f"Bearer {self.secret}":
            return as_json(self.words(f"{shown} is not let in"), 401)
        if request.path == self.list_path:
            return self.listed(request)
        row = self.ledger.find(request.path.removeprefix(self.item_path))
        return as_json(dict(row.raw)) if row and request.path.startswith(self.item_path) else self.error(404, {})

    def listed(self, request: Request) -> Answer:
        raise AssertionError(request)

    def error(self, status: int, headers: Mapping[str, str]) -> Answer:
        return as_json(self.words(f"error {status}"), status, headers)

    def refusal(self) -> Answer:
        return as_json(self.words("not let in"), 401)

    def words(self, text: str) -> dict[str, Any]:
        return {"error": text}

    def size(self, request: Request, name: str, default: int, largest: int) -> int:
        return self.faults.page(min(int(request.first(name) or default), largest))


class GitHub(Standin):
    """Threads, most recently updated first, in numbered pages that links lead to."""

    slug = "github"
    secret = "ghp_sandbox-of-github"
    list_path = "/notifications"
    item_path = "/notifications/threads/"

    def words(self, text: str) -> dict[str, Any]:
        return {"message": text, "documentation_url": "https://docs.github.com/rest"}

    def listed(self, request: Request) -> Answer:
        headers = {"Last-Modified": self.last_modified(), "X-Poll-Interval": "60"}
        if request.headers.get("if-modified-since") == headers["Last-Modified"]:
            return Answer(304, headers=headers)
        number, size = int(request.first("page") or 1), self.size(request, "per_page", 50, 50)
        rows = self.asked_for(request)
        if number * size < len(rows):
            headers["Link"] = ", ".join(
                f'<{self.server.url}{self.list_path}?{_query(request, page)}>; rel="{relation}"'
                for relation, page in (("prev", number - 1), ("next", number + 1))
                if page
            )
        return as_json(rows[(number - 1) * size : number * size], headers=headers)

    def asked_for(self, request: Request) -> Raws:
        since = parsed(request.first("since"))
        rows = [raw for raw in self._shown() if request.first("all") == "true" or raw.get("unread")]
        later = [raw for raw in rows if not since or (at := parsed(raw.get("updated_at"))) is None or at > since]
        return sorted(later, key=lambda raw: str(raw.get("updated_at")), reverse=True)

    def last_modified(self) -> str:
        states = [row.state.since for row in self.ledger.all()]
        return format_datetime(
            max(states, default=datetime(2026, 1, 1, tzinfo=UTC)).replace(microsecond=0), usegmt=True
        )

    def _shown(self) -> Raws:
        return [row.raw for row in self.ledger.visible()]


class Stripe(Standin):
    """Events, newest first, read on from one's id; an id that is unknown, or older than 30 days, is refused."""

    slug = "stripe"
    secret = "sk_sandbox-of-stripe"
    list_path = "/v1/events"
    item_path = "/v1/events/"

    def words(self, text: str) -> dict[str, Any]:
        return {"error": {"type": "invalid_request_error", "message": text}}

    def listed(self, request: Request) -> Answer:
        size = self.size(request, "limit", 10, 100)
        newer, older = (self.place(request.first(name)) for name in ("ending_before", "starting_after"))
        if -1 in {newer, older}:
            return as_json(self.words("No such event"), 400)
        rows = list(enumerate(row for row in self.ledger.all() if row.occurred_at > self.clock() - KEPT_FOR))
        visible = {id(row) for row in self.ledger.visible()}
        found = [
            row.raw
            for place, row in rows
            if id(row) in visible
            and (newer is None or place > newer)
            and (older is None or place < older)
            and _within(row.raw.get("created"), request)
        ]
        page = found[:size] if newer is not None else found[-size:]
        content = {"object": "list", "url": self.list_path, "has_more": len(found) > len(page), "data": page[::-1]}
        return as_json(content)

    def place(self, cursor: str | None) -> int | None:
        """Where the row is, also one that was withdrawn; -1 for none."""
        rows = [row for row in self.ledger.all() if row.occurred_at > self.clock() - KEPT_FOR]
        places = [place for place, row in enumerate(rows) if row.raw.get("id") == cursor]
        return None if cursor is None else max(places, default=-1)


class Mastodon(Standin):
    """Notifications by decimal ids, newest first within a page; `min_id` gives those immediately newer."""

    slug = "mastodon"
    secret = "token-sandbox-of-mastodon"
    list_path = "/api/v1/notifications"
    item_path = "/api/v1/notifications/"

    def listed(self, request: Request) -> Answer:
        size, after = self.size(request, "limit", 40, 80), request.first("min_id")
        rows = self.ledger.all()
        known = [
            place for place, row in enumerate(rows) if after and int(row.raw.get("id") or 0) in range(1, int(after) + 1)
        ]
        shown = {id(row) for row in self.ledger.visible()}
        newer = [row.raw for place, row in enumerate(rows) if place > max(known, default=-1) and id(row) in shown]
        return as_json((newer[:size] if after else newer[-size:])[::-1])


def _query(request: Request, page: int) -> str:
    return urlencode([*((name, value) for name, value in request.query if name != "page"), ("page", page)])


def _within(created: object, request: Request) -> bool:
    if not isinstance(created, int):
        return True
    least, most = request.first("created[gte]"), request.first("created[lte]")
    return (least is None or created >= int(least)) and (most is None or created <= int(most))


Born = Callable[[Random, int, datetime], tuple[str, Raw]]
Changed = Callable[[Raw, datetime], tuple[Raw, Status]]


def thread(random: Random, number: int, at: datetime) -> tuple[str, Raw]:
    raw = {
        "id": str(9_000_000_000 + number),
        "unread": True,
        "reason": random.choice(("mention", "review_requested", "subscribed")),
        "updated_at": seconds(at),
        "last_read_at": None,
        "subject": {
            "title": f"Issue {number}",
            "url": f"https://api.github.com/repos/o/r/issues/{number}",
            "type": "Issue",
        },
        "repository": {"id": 1, "full_name": "o/r"},
        "url": f"https://api.github.com/notifications/threads/{9_000_000_000 + number}",
    }
    return str(raw["id"]), raw


def thread_read(raw: Raw, at: datetime) -> tuple[Raw, Status]:
    return {**raw, "unread": False, "last_read_at": seconds(at)}, Status.READ


def event(random: Random, number: int, at: datetime) -> tuple[str, Raw]:
    identity = f"evt_{random.getrandbits(60):015x}{number}"
    raw = {
        "id": identity,
        "object": "event",
        "api_version": "2026-01-28",
        "created": int(at.timestamp()),
        "data": {"object": {"id": f"ch_{number}", "object": "charge", "amount": 100 * number}},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": f"req_{number}", "idempotency_key": None},
        "type": "charge.succeeded",
    }
    return identity, raw


def mention(random: Random, number: int, at: datetime) -> tuple[str, Raw]:
    identity = str(95 + number)  # from two digits to three: "100" is text before "99"
    raw = {
        "id": identity,
        "type": random.choice(("mention", "favourite", "follow")),
        "created_at": millis(at),
        "account": {"id": "7", "acct": "alice@social.example"},
        "status": {"id": f"11{number}", "content": f"<p>Hello <b>{number}</b></p>"},
    }
    return identity, raw


STANDINS: tuple[type[Standin], ...] = (GitHub, Stripe, Mastodon)
BORN: Mapping[str, Born] = {"github": thread, "stripe": event, "mastodon": mention}
CHANGED: Mapping[str, Changed] = {"github": thread_read}
"""By provider; Stripe's and Mastodon's rows never change."""
