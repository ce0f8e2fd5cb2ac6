from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.processes import Tocsin
from worker.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def tocsin(tmp_path: Path, sandbox: Sandbox) -> Tocsin:
    """Tocsin, configured for the sandbox; nothing runs yet."""
    return Tocsin(tmp_path, sandbox)
