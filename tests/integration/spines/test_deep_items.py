"""An item nested more deeply than Python goes never holds up its page."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.fakes import ScriptedProvider, item, page
from tests.integration.spines.line import Line
from worker.store.tables import Message, RejectedRow


def nested(levels: int) -> Any:
    innermost: Any = 1
    for _ in range(levels):
        innermost = {"a": [innermost]}
    return innermost


@pytest.mark.parametrize("levels", [100, 200, 250, 300, 400, 475, 490, 500, 1_000, 10_000])
def test_whatever_is_beside_it_is_stored_and_told(line: Line, levels: int) -> None:
    deep, shallow = item("deep", more=nested(levels)), item("shallow")
    with capture_logs():
        summary = line.poll(ScriptedProvider([page(deep, shallow, last=True)]))
    assert summary is not None
    assert summary.new + summary.rejected == 2
    assert (line.known - {"deep"}, summary.rejected) == ({"shallow"}, int("deep" not in line.known))
    assert len(line.desk.rows(Message)) == summary.new


def test_it_is_kept_cut_and_the_reason_says_so(line: Line) -> None:
    line.poll(ScriptedProvider([page(item("deep", more=nested(1_000)), last=True)]))
    [row] = line.desk.rows(RejectedRow)
    assert row.reason == "it is nested more than 100 levels deep"
    assert row.raw.startswith('"{\\"id\\": \\"deep\\"')
    assert len(row.raw) < 5_000
