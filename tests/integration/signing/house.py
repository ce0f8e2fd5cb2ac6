"""Processes that share a folder: each a house of its own, with the same configuration, database and clock."""

from base64 import b64decode
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import standardwebhooks
import svix
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.fakes import FakeClock
from tests.integration.webhooks.receivers import Receiver, Request
from worker import wiring
from worker.envelope import encode
from worker.revision import MessageType
from worker.sandbox.configuration import written
from worker.store import outbox
from worker.store.outbox import Notice
from worker.wiring import House


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Yard:
    """Where those processes are, and their receiver."""

    folder: Path
    clock: FakeClock
    receiver: Receiver
    stack: ExitStack
    environ: dict[str, str] = field(default_factory=dict)

    def write(self, **endpoint: Any) -> None:
        """The configuration of the endpoint `erp`."""
        usual = {"url": self.receiver.url, "allow_networks": ["127.0.0.0/8"], "types": ["*"]}
        top = {"database": f"sqlite:///{self.folder}/tocsin.db"}
        text = written(top, {"sources": {}, "endpoints": {"erp": {**usual, **endpoint}}})
        (self.folder / "tocsin.toml").write_text(text, encoding="utf-8")

    def house(self) -> House:
        """Another process."""
        opened = House(wiring.read_settings(self.folder / "tocsin.toml", self.environ), self.clock)
        self.stack.callback(opened.close)
        opened.move_in()
        return opened

    def sent_by(self, house: House) -> Request:
        """One message, sent by that process; what its receiver got."""
        with house.database.transaction() as session:
            body = encode(MessageType.SOURCE_FAILING, self.clock(), {"name": "books"})
            outbox.owe_notice(session, Notice(MessageType.SOURCE_FAILING, None, body), ["erp"], self.clock())
        before = len(self.receiver.requests)
        assert house.deliver() == 1
        [request] = self.receiver.requests[before:]
        return request


_LIBRARIES = (
    (standardwebhooks.Webhook, standardwebhooks.WebhookVerificationError),
    (svix.Webhook, svix.webhooks.WebhookVerificationError),
)


def verifies(request: Request, secret: str) -> bool:
    """Whether both receivers' libraries take it with this secret."""
    refusals = 0
    for library, refusal in _LIBRARIES:
        try:
            library(secret).verify(request.body, request.headers)
        except refusal:
            refusals += 1
    assert refusals in {0, len(_LIBRARIES)}
    return not refusals


def verifies_by_public_key(request: Request, public: str) -> bool:
    """Whether one of its signatures is of this `whpk_` key, by the specification and without our code."""
    key = Ed25519PublicKey.from_public_bytes(b64decode(public.removeprefix("whpk_"), validate=True))
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    for each in request.headers["webhook-signature"].split(" "):
        version, _, signature = each.partition(",")
        try:
            key.verify(b64decode(signature, validate=True), signed)
        except InvalidSignature:
            continue
        return version == "v1a"
    return False


MINUTE = timedelta(minutes=1)
