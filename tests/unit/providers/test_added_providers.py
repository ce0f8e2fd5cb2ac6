from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tests.fakes import AT
from worker.errors import ConfigurationError
from worker.intake import read_all
from worker.providers import PROVIDERS, build, providers

MODULE = """
from worker.providers.bookkeep.provider import Bookkeep

class Added(Bookkeep):
    slug = "{slug}"

class Half:
    slug = "{slug}"

class Own:
    slug = "{slug}"
    contract, options, client = Bookkeep.contract, Bookkeep.options, Bookkeep.client

    def __init__(self, options, client):
        self.asked = options, client

    def normalise(self, item, now):
        return Bookkeep.normalise(self, item, now)

    pages, changes, fetch, acknowledge = Bookkeep.pages, Bookkeep.changes, Bookkeep.fetch, Bookkeep.acknowledge

def broken():
    raise AssertionError
"""

RECORDED = Path(__file__).parents[2] / "recordings" / "bookkeep" / "list_page1.json"

Distribute = Callable[..., None]


@pytest.fixture
def distribute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Distribute:
    """Puts a package's folder on the path, with one entry point."""

    def make(name: str, module: str, attribute: str = "Added", slug: str = "added") -> None:
        (tmp_path / f"{module}.py").write_text(MODULE.format(slug=slug))
        metadata = tmp_path / "acme_tocsin-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-tocsin\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[tocsin.providers]\n{name} = {module}:{attribute}\n")
        monkeypatch.syspath_prepend(str(tmp_path))

    return make


def test_a_package_adds_a_provider_by_its_entry_point(distribute: Distribute) -> None:
    distribute("added", "acme_first")

    found = providers()
    written = {"provider": "added", "publishable_key": "p", "secret_key": "s"}
    provider, client = build(found["added"].options.model_validate(written))
    client.close()

    assert set(found) == {*PROVIDERS, "added"}
    assert provider.slug == "added"


def test_one_that_says_no_more_than_how_an_item_is_normalised_is_read_by_that(distribute: Distribute) -> None:
    distribute("added", "acme_sixth", "Own")
    written = {"provider": "added", "publishable_key": "p", "secret_key": "s"}
    provider, client = build(providers()["added"].options.model_validate(written))
    client.close()
    (item, *_) = orjson.loads(RECORDED.read_bytes())["data"]

    (read,), _ = read_all(provider, [item], AT)

    assert provider.complete(read.outline, AT) == read.outline == provider.normalise(item, AT)


def test_without_such_a_package_there_are_those_that_come_with_it() -> None:
    assert set(providers()) >= set(PROVIDERS)


@pytest.mark.parametrize(
    ("name", "module", "attribute", "expected"),
    [
        ("bookkeep", "acme_second", "Added", '"bookkeep" of acme-tocsin has the name of another provider'),
        ("added", "acme_third", "Absent", '"added" of acme-tocsin can\'t be loaded: AttributeError'),
        ("added", "acme_fourth", "Half", '"added" of acme-tocsin is no provider: it has no contract'),
        ("other", "acme_fifth", "Added", '"other" of acme-tocsin calls itself "added"'),
    ],
)
def test_what_a_package_adds_and_can_t_be_used_is_one_line(
    distribute: Distribute, name: str, module: str, attribute: str, expected: str
) -> None:
    distribute(name, module, attribute)

    with pytest.raises(ConfigurationError) as caught:
        providers()

    (problem,) = caught.value.problems
    assert problem.startswith(f"tocsin.providers: {expected}")
