import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.desk import Desk
from worker.sandbox import Sandbox


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """An empty folder, and no environment that says anything about Tocsin."""
    for name in [name for name in os.environ if name.startswith("TOCSIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def configured(desk: Desk, sandbox: Sandbox) -> Desk:
    """A folder with the sandbox's configuration, and nothing done yet."""
    desk.configure_sandbox(sandbox)
    return desk
