"""A stored secret that can't be opened is its endpoint's misfortune, and no other's."""

from datetime import datetime

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import delete, update
from sqlmodel import Session, col, select
from structlog.testing import capture_logs

from tests.integration.signing.house import Yard
from worker.envelope import encode
from worker.revision import MessageType
from worker.sandbox.configuration import written
from worker.store import outbox
from worker.store.outbox import Notice
from worker.store.tables import Attempt, Delivery, EndpointRow, EndpointSecret
from worker.wiring import House


@pytest.fixture
def house(yard: Yard) -> House:
    """Three endpoints, of which `books` comes between the others."""
    endpoint = {"url": yard.receiver.url, "allow_networks": ["127.0.0.0/8"], "types": ["*"]}
    top = {"database": f"sqlite:///{yard.folder}/tocsin.db"}
    endpoints = dict.fromkeys(("acme", "books", "crm"), endpoint)
    text = written(top, {"sources": {}, "endpoints": endpoints})
    (yard.folder / "tocsin.toml").write_text(text, encoding="utf-8")
    return yard.house()


def owe(session: Session, now: datetime) -> None:
    body = encode(MessageType.SOURCE_FAILING, now, {"name": "books"})
    outbox.owe_notice(session, Notice(MessageType.SOURCE_FAILING, None, body), ["acme", "books", "crm"], now)


def delivered(house: House) -> dict[str, tuple[str, list[str]]]:
    """Each endpoint's delivery: its status, and what its attempts came to."""
    with house.database.reading() as session:
        names = {row.id: row.name for row in session.exec(select(EndpointRow))}
        attempts = session.exec(select(Attempt)).all()
        return {
            names[row.endpoint_id]: (row.status, [one.outcome for one in attempts if one.delivery_id == row.id])
            for row in session.exec(select(Delivery))
        }


ALONE = {"acme": ("delivered", ["answered"]), "books": ("pending", ["failed"]), "crm": ("delivered", ["answered"])}


def test_a_secret_that_cannot_be_opened_stops_its_endpoint_alone(house: House) -> None:
    sealed = Fernet(Fernet.generate_key()).encrypt(b"whsec_another").decode()
    books = select(col(EndpointRow.id)).where(col(EndpointRow.name) == "books").scalar_subquery()
    with house.database.transaction() as session:
        session.execute(update(EndpointSecret).where(col(EndpointSecret.endpoint_id) == books).values(sealed=sealed))
        owe(session, house.clock())
    with capture_logs() as logs:
        assert house.deliver() == 3
    assert delivered(house) == ALONE
    [said] = [entry for entry in logs if entry["event"] == "signing.secret_not_opened"]
    why = "key: the stored secret of endpoint books was sealed with another key; add that key too"
    assert (said["endpoint"], said["why"]) == ("books", why)


def test_a_secret_that_is_gone_stops_its_endpoint_alone(house: House) -> None:
    books = select(col(EndpointRow.id)).where(col(EndpointRow.name) == "books").scalar_subquery()
    with house.database.transaction() as session:
        session.execute(delete(EndpointSecret).where(col(EndpointSecret.endpoint_id) == books))
        owe(session, house.clock())
    with capture_logs() as logs:
        assert house.deliver() == 3
    assert delivered(house) == ALONE
    assert "key: endpoint books has no stored secret" in [entry.get("why") for entry in logs]
