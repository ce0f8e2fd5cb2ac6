import re
import stat
from pathlib import Path
from typing import Any, get_args

import pytest
from cryptography.fernet import Fernet
from pydantic import BaseModel

from worker.errors import ConfigurationError
from worker.settings import DeliverySettings, EndpointSettings, RetentionSettings, SourceSettings, initialise, load
from worker.settings.described import DescribedSource
from worker.settings.description import Description, Mapped
from worker.settings.paging import Page
from worker.settings.template import TEMPLATE

EXAMPLE = re.compile(r"^#(?! |$)", re.MULTILINE)


def test_what_init_writes_is_a_configuration(tmp_path: Path) -> None:
    initialise(tmp_path)
    found = load(tmp_path / "tocsin.toml", {}, {}, ())
    assert (found.database, found.broker) == (f"sqlite:///{tmp_path}/tocsin.db", "memory://")
    assert len(found.key) == 1
    assert (found.sources, found.endpoints, found.warnings) == ({}, {}, ())


def test_the_examples_are_a_configuration_when_they_are_taken_out_of_their_comments(desk: Any) -> None:
    desk.file("govapp.pem")
    desk.papers("client.pem", "client.key")
    desk.papers("ca.pem", "ca.key")
    desk.file("tocsin.key", Fernet.generate_key().decode())
    found = desk.read(EXAMPLE.sub("", TEMPLATE))
    assert list(found.sources) == ["registrar", "books", "govapp", "tickets", "social", "intranet"]
    assert list(found.providers) == ["acme", "intranet"]
    assert list(found.endpoints) == ["erp"]
    assert found.warnings == ()


def test_the_examples_say_what_holds_without_them(desk: Any) -> None:
    defaults = re.split(r"^#\[delivery\]$", TEMPLATE, flags=re.MULTILINE)[1]
    found = desk.read("[delivery]" + EXAMPLE.sub("", defaults))
    assert (found.delivery, found.retention) == (DeliverySettings(), RetentionSettings())


@pytest.mark.parametrize("name", [*Mapped.model_fields, *Description.model_fields, *DescribedSource.model_fields])
def test_every_key_of_a_described_provider_is_in_the_template(name: str) -> None:
    assert re.search(rf"\b{name}\b", TEMPLATE)


@pytest.mark.parametrize("model", get_args(get_args(Page)[0]))
def test_every_key_of_every_kind_of_paging_is_in_the_template(model: type[BaseModel]) -> None:
    assert [] == [name for name in model.model_fields if not re.search(rf"\b{name} = |\({name}\)", TEMPLATE)]


@pytest.mark.parametrize("model", [SourceSettings, EndpointSettings, DeliverySettings, RetentionSettings])
def test_every_key_is_in_the_template(model: Any) -> None:
    missing = [name for name in model.model_fields if not re.search(rf"^#{name} = ", TEMPLATE, re.MULTILINE)]
    assert missing == []


def test_init_writes_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    written = initialise(tmp_path)
    assert written == [tmp_path / "tocsin.toml", tmp_path / "tocsin.key"]
    assert stat.S_IMODE(written[1].stat().st_mode) == 0o600
    assert Fernet(written[1].read_bytes().strip())


def test_init_never_overwrites_a_configuration(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("# mine")
    with pytest.raises(ConfigurationError, match="is there already, and is never overwritten"):
        initialise(tmp_path, "mine.toml")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]
    assert file.read_text() == "# mine"


def test_init_keeps_a_key_that_is_there(tmp_path: Path) -> None:
    key = tmp_path / "tocsin.key"
    key.write_text("kept")
    assert initialise(tmp_path) == [tmp_path / "tocsin.toml"]
    assert key.read_text() == "kept"


def test_init_says_what_cannot_be_written(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    with pytest.raises(ConfigurationError) as caught:
        initialise(nowhere)
    assert caught.value.problems == (f"{nowhere}/tocsin.key: cannot be written: No such file or directory",)
