import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RECORDINGS = Path(__file__).parents[2] / "recordings"


@pytest.fixture
def recording() -> Callable[[str], Any]:
    """The JSON of a recorded answer, by `slug/name`."""
    return lambda name: json.loads((RECORDINGS / f"{name}.json").read_text())
