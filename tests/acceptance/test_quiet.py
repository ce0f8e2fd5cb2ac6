"""A run that has nothing to do is as well as one that is busy."""

from contextlib import closing
from datetime import datetime

from tests.acceptance.processes import Tocsin
from worker.store import heartbeats
from worker.store.heartbeats import EVERY, SWEEP, TICK
from worker.store.session import Database


def signs(tocsin: Tocsin) -> dict[str, datetime]:
    with closing(Database(f"sqlite:///{tocsin.folder}/tocsin.db")) as database, database.reading() as session:
        known = heartbeats.known(session)
    return {name: at for name, at in known.items() if name in {SWEEP, TICK}}


def test_signs_of_life_go_on_where_nothing_is_due(tocsin: Tocsin) -> None:
    tocsin.configure("12h")
    with tocsin.script("signs_often.py").says("run.started") as run:
        run.until(lambda: len(signs(tocsin)) == len({SWEEP, TICK}), "both are given")
        begun = signs(tocsin)
        run.until(lambda: all(at >= begun[name] + EVERY for name, at in signs(tocsin).items()), "both go on")
        assert run.stopped() == 0
