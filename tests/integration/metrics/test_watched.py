"""What docs/ watches is what there is: each metric and label of an alert, a panel and README's table is served."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from worker import operations, wiring
from worker.metrics import Counting, Stored
from worker.sandbox import Sandbox
from worker.sandbox.configuration import configuration

ROOT = Path(__file__).parents[3]
RULES = YAML(typ="safe").load((ROOT / "docs" / "alerts.yaml").read_text(encoding="utf-8"))
BOARD = json.loads((ROOT / "docs" / "dashboard.json").read_text(encoding="utf-8"))
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
_OF_PROMETHEUS = {"up": set[str]()}
_OF_A_SCRAPE = {"job", "instance"}
_GRAFANA = {"$__rate_interval": "5m", "$source": ".*", "$endpoint": ".*"}
_QUERIED = re.compile(r"label_values\((\w+), (\w+)\)")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Each series' name → its labels, of a house that polled and delivered."""
    folder = tmp_path_factory.mktemp("watched")
    with Sandbox() as sandbox:
        (folder / "tocsin.toml").write_text(configuration(sandbox, "1h"), encoding="utf-8")
        counting = Counting()
        settings = wiring.read_settings(folder / "tocsin.toml", {})
        with closing(wiring.open_house(settings, meter=counting)) as home:
            for _ in range(2):  # what occurred before the first reading is not timed
                sandbox.publish(3)
                for source in settings.sources:
                    home.poll(source, only_due=False)
            home.deliver()
            home.due_sources("bookkeep")
            operations.prune(home)
            stored = Stored(home.database, settings.sources, settings.endpoints, home.clock)
            stored.look()
            counting.registry.register(stored)
            text = generate_latest(counting.registry).decode()
    return {
        sample.name: set(sample.labels) for family in text_string_to_metric_families(text) for sample in family.samples
    }


def nodes(expression: str) -> Iterator[Any]:
    """Every part of an expression, with Grafana's variables filled in."""
    for name, value in _GRAFANA.items():
        expression = expression.replace(name, value)
    found: list[Any] = []
    promql_parser.walk(promql_parser.parse(expression), found.append)
    return iter(found)


def selected(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Each series that is asked for, and the labels that it is asked by."""
    for node in nodes(expression):
        if isinstance(node, promql_parser.VectorSelector):
            yield node.name, {matcher.name for matcher in node.matchers.matchers}


def grouped(expression: str) -> set[str]:
    """The labels that an expression keeps."""
    return {
        label
        for node in nodes(expression)
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier
        for label in node.modifier.labels
    }


def problems(expression: str, served: Mapping[str, set[str]]) -> list[str]:
    """What it asks for that nobody serves."""
    known = {**served, **_OF_PROMETHEUS}
    asked = list(selected(expression))
    unknown = [name for name, _ in asked if name not in known]
    odd = [f"{name}: {by}" for name, by in asked if name in known and not by <= known[name] | _OF_A_SCRAPE]
    kept = {label for name, _ in asked for label in known.get(name, set())} | _OF_A_SCRAPE
    return unknown + odd + sorted(grouped(expression) - kept)


def test_what_nobody_serves_is_noticed(served: Mapping[str, set[str]]) -> None:
    assert problems('sum by (colour) (rate(tocsin_dreams_total{deep="1"}[5m]))', served) == [
        "tocsin_dreams_total",
        "colour",
    ]
    assert problems('tocsin_endpoint_pending{source="s"}', served) == ["tocsin_endpoint_pending: {'source'}"]


@pytest.mark.parametrize("rule", ALERTS, ids=[rule["alert"] for rule in ALERTS])
def test_an_alert_asks_for_what_is_served_and_says_what_to_do(
    rule: Mapping[str, Any], served: Mapping[str, set[str]]
) -> None:
    assert [] == problems(rule["expr"], served)
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "action"}
    named = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    assert named <= grouped(rule["expr"]) | _OF_A_SCRAPE


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_a_panel_asks_for_what_is_served(panel: Mapping[str, Any], served: Mapping[str, set[str]]) -> None:
    assert [] == [problem for target in panel["targets"] for problem in problems(target["expr"], served)]
    for target in panel["targets"]:
        named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert named <= grouped(target["expr"])


def test_the_boards_variables_are_labels_of_what_is_served(served: Mapping[str, set[str]]) -> None:
    asked = [_QUERIED.fullmatch(one["definition"]) for one in BOARD["templating"]["list"] if one["type"] == "query"]
    assert [True, True] == [found is not None and found[2] in served[found[1]] for found in asked]


def test_panels_have_ids_of_their_own_and_do_not_lie_on_each_other() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids))
    places = [panel["gridPos"] for panel in BOARD["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))


def test_readme_tells_of_each_metric(served: Mapping[str, set[str]]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in served if name.startswith("tocsin_")}
    assert [] == sorted(name for name in families if f"`{name}`" not in readme)
