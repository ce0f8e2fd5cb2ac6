import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from tests.papers import papers
from worker.errors import ConfigurationError
from worker.revision import MessageType
from worker.settings import Secret, Section, Settings, SourceSettings, load


class OAuth2(Section):
    kind: Literal["oauth2"]
    token_url: str
    client_id: str
    private_key: Secret | None = None
    client_secret: Secret | None = None
    audience: str | None = None
    scope: str | None = None
    assertion_audience: str | None = None


class Basic(Section):
    kind: Literal["basic"]
    username: str
    password: Secret


class Registrar(SourceSettings):
    customer: Annotated[str, Field(min_length=3, max_length=40, pattern=r"^[a-z]+$")]
    api_key: Secret


class Books(SourceSettings):
    publishable_key: Secret
    secret_key: Secret
    organization_id: int | None = None


class GovApp(SourceSettings):
    base_url: str
    auth: Annotated[OAuth2 | Basic, Field(discriminator="kind")]
    time_format: str = "seconds"
    ratio: float = 1
    strict: bool = False


class Social(SourceSettings):
    token: Secret


OPTIONS: Mapping[str, type[SourceSettings]] = {
    "realtime_register": Registrar,
    "bookkeep": Books,
    "govapp": GovApp,
    "mastodon": Social,
}
WEBHOOK_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
ENVIRON = {
    "RTR_API_KEY": "k-registrar",
    "BOOKKEEP_PUBLISHABLE_KEY": "k-publishable",
    "BOOKKEEP_SECRET_KEY": "k-books",
    "ERP_WEBHOOK_SECRET": WEBHOOK_SECRET,
    "ACME_TOKEN": "k-acme",
    "MASTODON_TOKEN": "k-mastodon",
    "INTRANET_PASSWORD": "k-intranet",
}


@dataclass(frozen=True)
class Desk:
    """A folder with a configuration in it."""

    folder: Path

    def file(self, name: str, text: str = "x") -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def papers(self, certificate: str, key: str, **how: Any) -> tuple[Path, Path]:
        """Files of a certificate and its key."""
        texts = papers(**how)
        return self.file(certificate, texts[0]), self.file(key, texts[1])

    def read(self, text: str, environ: Mapping[str, str] = ENVIRON) -> Settings:
        return load(self.file("tocsin.toml", text), environ, OPTIONS, tuple(MessageType))

    def problems(self, text: str, environ: Mapping[str, str] = ENVIRON) -> tuple[str, ...]:
        with pytest.raises(ConfigurationError) as caught:
            self.read(text, environ)
        return caught.value.problems

    def shown(self, text: str, environ: Mapping[str, str]) -> str:
        """All that a person may get to see of a configuration: its problems, or its settings in every form."""
        try:
            found = self.read(text, environ)
        except ConfigurationError as error:
            return f"{error} {error!r}"
        return f"{found} {found!r} {found.sources} {found.endpoints} {found.warnings}"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def _registrar(lines: str = "") -> str:
    head = '[sources.registrar]\nprovider = "realtime_register"\ncustomer = "acme"\n'
    return f'{head}api_key = {{ env = "RTR_API_KEY" }}\n{lines}\n'


def _erp(lines: str = "") -> str:
    return f'[endpoints.erp]\nurl = "https://erp.example.com/"\n{lines}\n'


@pytest.fixture
def registrar() -> Callable[[str], str]:
    """A good source of the registrar, with more lines."""
    return _registrar


@pytest.fixture
def erp() -> Callable[[str], str]:
    """A good endpoint, with more lines."""
    return _erp
