"""What README.md shows of tocsin.toml is a configuration."""

import re
from pathlib import Path

import pytest

from tests.integration.cli.desk import Desk

README = Path(__file__).parents[3] / "README.md"
SNIPPETS = re.findall(r"```toml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=["a source and an endpoint", "a provider"])
def test_what_the_readme_shows_can_be_read(desk: Desk, snippet: str) -> None:
    desk.tocsin("init")
    desk.environ.update({"RTR_API_KEY": "k", "ACME_TOKEN": "t"})
    desk.write(snippet)
    said = desk.tocsin("check", "--offline")
    assert (said.code, said.complaints) == (0, [])


@pytest.mark.parametrize(
    ("provider", "keys"), [("github", ""), ("stripe", ""), ("mastodon", 'base_url = "https://social.example"\n')]
)
def test_a_provider_that_comes_described_needs_what_the_readme_says(desk: Desk, provider: str, keys: str) -> None:
    desk.environ["TOKEN"] = "t"
    desk.write(f'[sources.mine]\nprovider = "{provider}"\ntoken = {{ env = "TOKEN" }}\n{keys}')
    said = desk.tocsin("check", "--offline")
    assert (said.code, said.complaints) == (0, [])


def test_mastodon_without_a_server_is_told_that_it_needs_one(desk: Desk) -> None:
    desk.environ["TOKEN"] = "t"
    desk.write('[sources.mine]\nprovider = "mastodon"\ntoken = { env = "TOKEN" }\n')
    assert desk.tocsin("check", "--offline").complaints == ["sources.mine.base_url: this key is needed"]
