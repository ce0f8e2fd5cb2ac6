"""The provider's clock is not ours: progress follows the provider's (DESIGN, rule 8)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from worker.sandbox import Sandbox
from worker.sandbox.configuration import written
from worker.wiring import House, open_house, read_settings


def behind_by(seconds: float) -> Sandbox:
    return Sandbox(clock=lambda: datetime.now(UTC) - timedelta(seconds=seconds))


@pytest.fixture(params=[120.0, -120.0], ids=["two minutes behind", "two minutes ahead"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with behind_by(request.param) as running:
        yield running


@pytest.fixture
def house(sandbox: Sandbox, tmp_path: Path) -> Iterator[House]:
    sources = {name: {**source, "start_at": "now"} for name, source in sandbox.sources().items()}
    file = tmp_path / "tocsin.toml"
    file.write_text(written({"database": "sqlite:///t.db"}, {"sources": sources, "endpoints": sandbox.endpoints()}))
    home = open_house(read_settings(file, {}))
    yield home
    home.close()


def test_what_happens_after_the_start_arrives_whatever_the_provider_s_clock_says(
    house: House, sandbox: Sandbox
) -> None:
    for name in house.settings.sources:
        house.poll(name, only_due=False)
    sandbox.publish(12)
    for _ in range(2):
        for name in house.settings.sources:
            house.poll(name, only_due=False)
    house.deliver()
    assert sandbox.broken_promises() == []
    assert sandbox.tally().notifications == 12
