"""The configuration, read once and checked as a whole: every problem is told before anything starts."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import ValidationError

from worker.errors import ConfigurationError
from worker.settings.addresses import POSTGRESQL
from worker.settings.configuration import RetentionSettings, Settings
from worker.settings.described import source_of
from worker.settings.description import Asking, Description
from worker.settings.endpoint import DeliverySettings, EndpointSettings
from worker.settings.fields import Section
from worker.settings.file import chosen, document_of
from worker.settings.problems import problem, problems_of
from worker.settings.secret import Surroundings, plain_secrets
from worker.settings.source import SourceSettings
from worker.settings.top import Top, broker_of, database_of, keys_of, metrics_of
from worker.settings.wording import close_to, quoted

_KEYS = frozenset({
    "database", "database_password", "broker", "key", "sources", "endpoints", "delivery", "retention", "providers",
    "metrics",
})  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLAIN = 'the secret stands in the file as plain text; better { env = "NAME" } or { file = "path" }'
_S = TypeVar("_S", bound=Section)

Options = Mapping[str, type[SourceSettings]]
"""What a provider's sources may say: its slug → its own subclass of SourceSettings."""


@dataclass(frozen=True, slots=True)
class _Reading(Top):
    """One reading of one document with its tables."""

    def section(self, path: tuple[str, ...], raw: object, model: type[_S]) -> _S | None:
        try:
            return model.model_validate(raw, context=self.around)
        except ValidationError as error:
            found = problems_of(error, path, raw, model)
            self.problems.extend(line for line in found if line not in self.problems)
            return None

    def tables(self, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The tables `[name.*]`, with a problem for each that is none, or has an impossible name."""
        tables = self.document.get(name, {})
        if not isinstance(tables, dict):
            self.tell((name,), f"must be tables: [{name}.NAME]")
            return
        for key, table in tables.items():
            if not _NAME.fullmatch(key):
                self.tell((name, key), "a name has 1 to 64 letters, digits, - and _")
            if isinstance(table, dict):
                yield key, table
            else:
                self.tell((name, key), f"must be a table: [{name}.{key}]")


def load(
    path: Path | None,
    environ: Mapping[str, str],
    options: Options,
    known_types: Collection[str],
    acknowledging: Collection[str] | None = None,
) -> Settings:
    """The configuration of `path`, else of TOCSIN_CONFIG, else of ./tocsin.toml (INTERFACE, section 1).

    TOCSIN_DATABASE, TOCSIN_BROKER, TOCSIN_KEY, TOCSIN_METRICS override the file, as `worker.settings.top` says.
    `known_types`: the types of messages that exist; `acknowledging`: the providers that can be told that we hold
    something, None: not checked.
    Raises ConfigurationError with one line for every problem there is; none repeats a secret.
    """
    file = chosen(path, environ)
    document = document_of(file)
    names = document.get("sources")
    sources = frozenset(names if isinstance(names, dict) else ())
    tellable = None if acknowledging is None else frozenset(acknowledging)
    around = Surroundings(file.parent, environ, sources, frozenset(known_types), tellable)
    reading = _Reading(document, around, [])
    settings = _settings(reading, options, file)
    if reading.problems or settings is None:
        raise ConfigurationError(reading.problems)
    return settings


def _settings(reading: _Reading, options: Options, file: Path) -> Settings | None:
    _unknown(reading)
    database, broker = database_of(reading), broker_of(reading)
    key = keys_of(reading, needed=bool(database and database.startswith(POSTGRESQL)))
    providers = {name: _description(reading, name, table, options) for name, table in reading.tables("providers")}
    known = {**{name: source_of(found) if found else None for name, found in providers.items()}, **options}
    sources = {name: _source(reading, name, table, known) for name, table in reading.tables("sources")}
    delivery = reading.section(("delivery",), reading.document.get("delivery", {}), DeliverySettings)
    endpoints = dict(_endpoints(reading, delivery or DeliverySettings()))
    metrics = metrics_of(reading)
    retention = reading.section(("retention",), reading.document.get("retention", {}), RetentionSettings)
    if reading.problems or not (database and broker and delivery and retention):
        return None
    return Settings(
        database=database,
        broker=broker,
        key=key,
        providers=MappingProxyType({name: provider for name, provider in providers.items() if provider}),
        sources=MappingProxyType({name: source for name, source in sources.items() if source}),
        endpoints=MappingProxyType(endpoints),
        delivery=delivery,
        retention=retention,
        path=file,
        metrics=metrics,
        warnings=tuple(_warnings({"key": key, "sources": sources, "endpoints": endpoints})),
    )


def _unknown(reading: _Reading) -> None:
    for key in reading.document:
        if key not in _KEYS:
            meant = close_to(key, _KEYS)
            reading.tell((key,), f'unknown key; did you mean "{meant}"?' if meant else "unknown key")


def _description(reading: _Reading, name: str, table: dict[str, Any], options: Options) -> Description | None:
    if name in options:
        reading.tell(("providers", name), "Tocsin knows a provider of that name already; give yours another")
        return None
    found = reading.section(("providers", name), table, Description)
    if found is None:
        asking = {key: value for key, value in table.items() if key in Asking.model_fields}
        reading.section(("providers", name), asking, Asking)
    return found


def _source(
    reading: _Reading, name: str, table: dict[str, Any], options: Mapping[str, type[SourceSettings] | None]
) -> SourceSettings | None:
    """Of a source whose provider isn't known, or badly described, the keys that all sources have are checked."""
    provider = table.get("provider")
    found = options.get(provider) if isinstance(provider, str) else None
    if found:
        return reading.section(("sources", name), table, found)
    known = ", ".join(sorted(options))
    if isinstance(provider, str) and provider not in options:
        reading.tell(("sources", name, "provider"), f"{quoted(provider)} is not a provider; known: {known}")
    shared = {key: value for key, value in table.items() if key in SourceSettings.model_fields}
    return reading.section(("sources", name), shared, SourceSettings)


def _endpoints(reading: _Reading, defaults: DeliverySettings) -> Iterator[tuple[str, EndpointSettings]]:
    for name, table in reading.tables("endpoints"):
        endpoint = reading.section(("endpoints", name), {**dict(defaults), **table}, EndpointSettings)
        if endpoint:
            yield name, endpoint


def _warnings(found: Mapping[str, object]) -> list[str]:
    paths = [path if path[0] != "key" else ("key",) for path in plain_secrets(found, ())]
    return [problem(path, _PLAIN) for path in dict.fromkeys(paths)]
