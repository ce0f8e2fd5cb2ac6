"""README's "Back up" and "Restore", and what becomes of a lost key."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
from cryptography.fernet import Fernet
from sqlmodel import select

from tests.acceptance.processes import ROOT, Tocsin
from tests.servers import Postgres, postgres_program
from worker.errors import ConfigurationError
from worker.sandbox.configuration import written
from worker.store import schema
from worker.store.session import Database
from worker.store.tables import Delivery
from worker.wiring import House

_THERE = "postgresql://tocsin@host/tocsin"
_OURS = {"erp": {"url": "https://erp.example.com/", "kinds": ["Nothing"]}}


@dataclass(frozen=True)
class State:
    """What a restored installation must have as before: what is owed by which id, and the secrets that we made."""

    messages: frozenset[str]
    secrets: tuple[str, ...]


@pytest.fixture
def kept(tocsin: Tocsin, postgres: Postgres) -> Iterator[Tocsin]:
    """An installation on PostgreSQL, with an endpoint whose secret is of our making."""
    url = postgres.create()
    tables = {"sources": tocsin.sandbox.sources(), "endpoints": tocsin.sandbox.endpoints() | _OURS}
    tocsin.file.write_text(written({}, tables), encoding="utf-8")
    tocsin.environ |= {"TOCSIN_DATABASE": url, "TOCSIN_KEY": Fernet.generate_key().decode()}
    assert tocsin.says("migrate")[0] == 0
    yield tocsin
    postgres.drop(url)


def work(home: House) -> None:
    """Poll every source, deliver all."""
    for source in home.settings.sources:
        home.poll(source, only_due=False)
    home.deliver()


def read_all(tocsin: Tocsin) -> State:
    """Do so, and tell what came of it."""
    with closing(tocsin.house()) as home:
        work(home)
        with home.database.reading() as session:
            messages = frozenset(session.exec(select(Delivery.message_id)).all())
        return State(messages, home.signing.secrets("erp"))


def as_readme_says(tocsin: Tocsin, *programs: str) -> None:
    """README's own lines with these programs of PostgreSQL, on the installation's database."""
    url = tocsin.environ["TOCSIN_DATABASE"].replace("postgresql+psycopg://", "postgresql://")
    for program in programs:
        (line,) = re.findall(rf"^{program} .+$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
        assert _THERE in line
        _, *words = shlex.split(line.replace(_THERE, url), comments=True)
        command = [str(postgres_program(program)), *words]
        subprocess.run(command, cwd=tocsin.folder, env=dict(os.environ), check=True, capture_output=True)


def back_up(tocsin: Tocsin) -> None:
    as_readme_says(tocsin, "pg_dump")


def restore(tocsin: Tocsin) -> None:
    as_readme_says(tocsin, "psql", "pg_restore")
    code, _, err = tocsin.says("migrate")
    assert code == 0, err


def test_a_dump_restored_elsewhere_goes_on_with_the_secrets_and_ids_of_before(kept: Tocsin, postgres: Postgres) -> None:
    sandbox = kept.sandbox
    sandbox.publish(6)
    read_all(kept)
    back_up(kept)
    sandbox.publish(6)
    before = read_all(kept)
    kept.environ["TOCSIN_DATABASE"] = postgres.create()
    restore(kept)
    assert read_all(kept) == before
    # what was made after the dump is made again: the same id, another timestamp, as README says
    assert {text.partition(": ")[2] for text in sandbox.broken_promises()} <= {"its bytes differ from those before"}
    postgres.drop(kept.environ["TOCSIN_DATABASE"])


def test_a_dump_of_before_an_update_restored_where_the_update_was_is_updated_again(
    tocsin: Tocsin, postgres_url: str
) -> None:
    tocsin.environ |= {"TOCSIN_DATABASE": postgres_url, "TOCSIN_KEY": Fernet.generate_key().decode()}
    with closing(Database(postgres_url)) as database:
        schema.migrate(database, to="0007")
        back_up(tocsin)
        schema.migrate(database)
    restore(tocsin)
    tocsin.sandbox.publish(3)
    with closing(tocsin.house()) as home:
        work(home)
    assert not tocsin.sandbox.broken_promises()


def test_after_a_lost_key_an_endpoint_gets_a_new_secret(kept: Tocsin) -> None:
    with closing(kept.house()) as home:
        (old,) = home.signing.secrets("erp")
    kept.environ["TOCSIN_KEY"] = Fernet.generate_key().decode()
    with closing(kept.house()) as home, pytest.raises(ConfigurationError, match="was sealed with another key"):
        home.signing.require()
    code, _, err = kept.says("endpoints", "rotate", "erp", "--overlap", "0s")
    assert code == 0, err
    with closing(kept.house()) as home:
        home.signing.require()
        (new,) = home.signing.secrets("erp")
    assert new != old
