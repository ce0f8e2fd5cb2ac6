"""Where it storms: three sources, four endpoints, PostgreSQL, Redis, two workers, two beats; all of them real."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import redis
from cryptography.fernet import Fernet
from kombu.exceptions import OperationalError

from tests.acceptance.load import sender
from tests.acceptance.processes import COMMAND, Tocsin
from tests.storm.judge import SENDER, Owed
from tests.storm.kept import Kept
from tests.storm.plan import BEATS, FORKING, MOVED, WORKERS, Weather
from tests.storm.servers import StormyPostgres, StormyRedis
from worker.sandbox import Answer, Sandbox
from worker.store import schema
from worker.store.session import Database

ALL, FLAPS, SLOW, BOOKS = "/all", "/flaps", "/slow", "/books"
_SLOWNESS: Final = timedelta(milliseconds=750)
_ANSWERS_WITHIN_S: Final = 2.0
_OPEN_TO_THE_SLOW: Final = 40
_BOOKKEEP: Final = "bookkeep"
_DELIVERY: Final = {
    "timeout": "3s",
    "connect_timeout": "2s",
    "retry_schedule": ["1s"] * 10 + ["3s"] * 90,
}
_BEAT: Final = (sys.executable, "-m", "celery", "-A", "schedules.beat", "beat")
"""What `tocsin beat` becomes, at half the price: a storm starts many."""
_POOLS: Final = {
    FORKING: ("--pool", "prefork", "--concurrency", "2"),
    MOVED: ("--pool", "threads", "--concurrency", "4"),
}
_REMEMBER: Final = """
    CREATE TABLE storm_recorded (delivery_id bigint NOT NULL, at timestamptz NOT NULL);
    CREATE FUNCTION storm_record() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO storm_recorded VALUES (NEW.id, clock_timestamp()); RETURN NULL; END';
    CREATE TRIGGER storm_recorded AFTER UPDATE ON delivery
        FOR EACH ROW WHEN (NEW.status = 'delivered') EXECUTE FUNCTION storm_record();
"""
_OWED: Final = """
    SELECT endpoint.name, delivery.message_id, delivery.status, array_remove(array_agg(storm_recorded.at), NULL)
    FROM delivery
    JOIN endpoint ON endpoint.id = delivery.endpoint_id
    LEFT JOIN storm_recorded ON storm_recorded.delivery_id = delivery.id
    GROUP BY endpoint.name, delivery.id
"""


@dataclass(frozen=True)
class Scene:
    """All of it, running. `clock`: the file that says by how many seconds one worker's clock is wrong."""

    sandbox: Sandbox
    postgres: StormyPostgres
    broker: StormyRedis
    url: str
    clock: Path
    kept: Mapping[str, Kept]

    @property
    def wanting(self) -> dict[str, frozenset[str]]:
        """Each endpoint's sources, by its path."""
        every = frozenset(self.sandbox.apis)
        return {ALL: every, FLAPS: every, SLOW: every, BOOKS: frozenset({_BOOKKEEP})}

    def owed(self) -> list[Owed]:
        """Every delivery, as the store has it now."""
        with psycopg.connect(self.url.replace("+psycopg", "")) as connection:
            rows = connection.execute(_OWED).fetchall()
        return [Owed(f"/{name}", webhook_id, status, tuple(at)) for name, webhook_id, status, at in rows]

    def tasks(self) -> dict[str, int]:
        """How many tasks each worker that answers has taken since its start."""
        answers: Mapping[str, Any] = {}
        away = suppress(redis.ConnectionError, OperationalError)
        with closing(sender(self.broker)) as app, app.connection_for_write() as connection, away:
            asked = app.control.inspect(timeout=_ANSWERS_WITHIN_S, connection=connection, limit=len(WORKERS))
            answers = asked.stats() or {}
        by_node = {name.rpartition("@")[2]: sum(answer["total"].values()) for name, answer in answers.items()}
        return {name: by_node[_node(name)] for name in WORKERS if _node(name) in by_node}


@contextmanager
def scene(folder: Path, weather: Weather) -> Iterator[Scene]:
    """Everything stands, and every process was started."""
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox())
        postgres, broker = stack.enter_context(StormyPostgres()), stack.enter_context(StormyRedis())
        tocsin, clocks = Tocsin(folder, sandbox), {name: folder / f"clock of {name}" for name in WORKERS}
        for clock in clocks.values():
            clock.write_text("0", encoding="ascii")
        url = _database(postgres)
        tocsin.environ |= {
            "TOCSIN_BROKER": broker.url,
            "TOCSIN_DATABASE": f"{url}?options=-c%20idle_in_transaction_session_timeout%3D{weather.standstill_s:g}s",
            "TOCSIN_KEY": Fernet.generate_key().decode(),
        }
        environs = {
            name: tocsin.environ | {"TOCSIN_CONFIG": str(_configured(tocsin, name))} for name in WORKERS + BEATS
        }
        commands = {name: _worker(name, weather, clock) for name, clock in clocks.items()} | dict.fromkeys(BEATS, _BEAT)
        kept = {
            name: stack.enter_context(Kept(name, command, environs[name], folder)) for name, command in commands.items()
        }
        yield Scene(sandbox, postgres, broker, url, clocks[MOVED], kept)


def _database(postgres: StormyPostgres) -> str:
    url = postgres.create()
    with closing(Database(url)) as database:
        schema.migrate(database)
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute(_REMEMBER)
    return url


def _configured(tocsin: Tocsin, name: str) -> Path:
    """The configuration of one process, which gives its name in a header. An endpoint is named as its path is."""
    receiver, (usual,) = tocsin.sandbox.receiver, tocsin.sandbox.endpoints().values()
    endpoints: dict[str, dict[str, Any]] = {
        path[1:]: {**usual, "secret": receiver.open(path), "url": receiver.url(path), "headers": {SENDER: name}}
        for path in (ALL, FLAPS, SLOW, BOOKS)
    }
    endpoints[BOOKS[1:]]["sources"] = [_BOOKKEEP]
    endpoints[SLOW[1:]]["max_in_flight"] = _OPEN_TO_THE_SLOW
    receiver.script(SLOW, then=Answer(204, after=_SLOWNESS))
    sources = {name: {**source, "every": "1s"} for name, source in tocsin.sandbox.sources().items()}
    tocsin.write({"delivery": _DELIVERY}, {"sources": sources, "endpoints": endpoints})
    return tocsin.file.rename(tocsin.file.with_name(f"{_node(name)}.toml"))


def _worker(name: str, weather: Weather, clock: Path) -> tuple[str, ...]:
    """`tocsin worker`, and as near to it as can be where its leases are shorter or its clock may be moved."""
    flags = (*_POOLS[name], "--hostname", _node(name))
    if name != MOVED and weather.lease_s is None:
        return (*COMMAND, "worker", "--", *flags)
    return (sys.executable, str(Path(__file__).with_name("works.py")), str(weather.lease_s or 0), str(clock), *flags)


def _node(name: str) -> str:
    """A worker's name, as Celery has it."""
    return name.replace(" ", "-")
