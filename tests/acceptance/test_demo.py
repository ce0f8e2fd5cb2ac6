"""`tocsin demo` (INTERFACE, section 3)."""

from contextlib import closing

import pytest

from tests.acceptance.processes import Tocsin
from worker import demo
from worker.sandbox import PATH, Answer

_SOURCES = ("realtime_register", "bookkeep", "govapp")
_HEADINGS = ("published", "changed", "found", "changes", "delivered", "latency p50")


def test_the_demo_ends_by_itself_with_a_summary_and_exit_0(tocsin: Tocsin) -> None:
    tocsin.file.unlink()

    code, out, err = tocsin.says("demo", "--seconds", "6")

    assert (code, err) == (0, "")
    assert all(word in out for word in (*_SOURCES, *_HEADINGS))
    assert ", 0 duplicates, " in out
    assert out.endswith("everything arrived exactly as promised\n")
    assert not (tocsin.folder / "tocsin.db").exists()


def test_a_demo_in_which_a_promise_is_broken_says_which_and_exits_1(
    tocsin: Tocsin, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox = tocsin.sandbox
    sandbox.receiver.script(PATH, Answer(204), Answer(500))
    rows = sandbox.publish(2, sandbox.bookkeep.slug)
    with closing(tocsin.house()) as home:
        home.poll(sandbox.bookkeep.slug, only_due=False)
        assert home.deliver() == 2
    capsys.readouterr()

    code = demo.sum_up(sandbox)

    refused = sandbox.receiver.received(PATH)[1].content["data"]["external_id"]
    assert refused in {row.external_id for row in rows}
    out = capsys.readouterr().out
    assert code == 1
    assert f"broken: bookkeep/{refused}: its last state, new since" in out
    assert out.endswith("broken promises: 1\n")
