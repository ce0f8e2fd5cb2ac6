"""What a worker's garbage collector is spared, asked of processes of their own: it is a process's alone."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.servers import LOOPBACK
from worker.sandbox.configuration import written

_SPARED = "import gc; assert gc.get_freeze_count() > 10_000; assert gc.get_threshold()[0] == 50_000"
_BEGUN = {
    "tocsin run": "WorkController.__new__(WorkController)",
    "celery worker": "app.Worker.__new__(app.Worker)",
}


def run(script: str, environ: Mapping[str, str] | None = None) -> None:
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", script], check=True, cwd=root, env=environ, timeout=60)


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    """A configuration that a worker takes."""
    settings = {"database": f"sqlite:///{tmp_path}/tocsin.db", "broker": f"redis://{LOOPBACK}:1/0", "metrics": "off"}
    (tmp_path / "tocsin.toml").write_text(written(settings, {}), encoding="utf-8")
    return {"TOCSIN_CONFIG": str(tmp_path / "tocsin.toml")}


@pytest.mark.parametrize("worker", _BEGUN.values(), ids=_BEGUN)
def test_a_worker_that_begins_is_spared_what_it_is_made_of(environ: Mapping[str, str], worker: str) -> None:
    begun = f"from worker.app import WorkController, _see_to_the_house, app; _see_to_the_house({worker}); {_SPARED}"
    run(begun, environ)


def test_a_forked_child_is_spared_it_too() -> None:
    forked = "import os; pid = os.fork(); pid and os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    run(f"import worker.app; from worker.staying import spare_what_stays; spare_what_stays(); {forked}; {_SPARED}")
