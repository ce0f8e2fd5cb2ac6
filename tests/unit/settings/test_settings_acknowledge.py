from pathlib import Path

import pytest

from worker import wiring
from worker.errors import ConfigurationError
from worker.providers import providers

REGISTRAR = 'provider = "realtime_register"\ncustomer = "acme"\napi_key = "k"\n'
BOOKS = 'provider = "bookkeep"\npublishable_key = "p"\nsecret_key = "s"\n'
GITHUB = 'provider = "github"\ntoken = "t"\n'


def _written(folder: Path, **sources: str) -> Path:
    path = folder / "tocsin.toml"
    path.write_text("".join(f"[sources.{name}]\n{text}\n" for name, text in sources.items()), encoding="utf-8")
    return path


def _problems(path: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        wiring.read_settings(path, {})
    return caught.value.problems


@pytest.mark.parametrize("word", ["never", "stored", "delivered"])
def test_a_provider_that_can_be_told_is_told_as_asked_for(tmp_path: Path, word: str) -> None:
    found = wiring.read_settings(_written(tmp_path, a=f'{REGISTRAR}acknowledge = "{word}"'), {})
    assert found.sources["a"].acknowledge == word


def test_providers_that_can_not_be_told_are_refused_a_line_each_with_all_else_that_is_wrong(tmp_path: Path) -> None:
    books = f'{BOOKS}acknowledge = "stored"\nevery = "soon"'
    path = _written(tmp_path, books=books, hub=f'{GITHUB}acknowledge = "delivered"')
    assert [line for line in _problems(path) if "acknowledge" in line] == [
        'sources.books.acknowledge: bookkeep has no way to be told; write "never", or leave it out',
        'sources.hub.acknowledge: github has no way to be told; write "never", or leave it out',
    ]
    assert len(_problems(path)) == 3


def test_never_is_possible_everywhere(tmp_path: Path) -> None:
    found = wiring.read_settings(_written(tmp_path, books=f'{BOOKS}acknowledge = "never"', hub=GITHUB), {})
    assert [source.acknowledge for source in found.sources.values()] == ["never", "never"]


def test_of_a_provider_that_is_not_known_only_that_is_said(tmp_path: Path) -> None:
    (problem,) = _problems(_written(tmp_path, a='provider = "nobody"\nacknowledge = "stored"'))
    assert problem.startswith('sources.a.provider: "nobody" is not a provider')


def test_only_providers_that_say_so_can_be_told() -> None:
    assert [slug for slug, one in providers().items() if one.contract.acknowledges] == ["realtime_register"]
