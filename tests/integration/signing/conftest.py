import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fakes import FakeClock
from tests.integration.signing.house import Yard, now
from tests.integration.webhooks.receivers import Receiver, answering


@pytest.fixture
def clock() -> FakeClock:
    """Begins now: receivers' libraries look at the machine's clock, and bear with five minutes."""
    return FakeClock(now())


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(answering(204)) as listening:
        yield listening


@pytest.fixture
def yard(tmp_path: Path, migrated_file: Path, clock: FakeClock, receiver: Receiver) -> Iterator[Yard]:
    """A folder with a database and one endpoint, and houses in it, closed with the test."""
    shutil.copy(migrated_file, tmp_path / "tocsin.db")
    with ExitStack() as stack:
        made = Yard(tmp_path, clock, receiver, stack)
        made.write()
        yield made
