"""compose.yaml: what it must say, and that it does what it says, as far as that goes without a container engine."""

import json
import re
import shlex
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fnmatch import fnmatch
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.composed import ROOT, Composed, ComposedPostgres, ComposedRedis, document, make_secrets
from tests.integration.metrics.scraped import get, scrape
from tests.servers import LOOPBACK, free_port
from worker.sandbox import Sandbox
from worker.sandbox.configuration import configuration

_TO_THE_END_S = 60.0
_LASTING = ["postgres", "redis", "worker", "beat", "metrics"]
_OURS = ["migrate", "worker", "beat", "metrics"]
_LITERAL = re.compile(r"password|secret|key", re.IGNORECASE)


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = document()["services"]
    return found


def test_it_is_as_the_compose_specification_says() -> None:
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text("utf-8"))
    jsonschema.validate(document(), schema)


def test_there_are_two_workers_and_two_beats_and_one_of_all_else(services: Mapping[str, Any]) -> None:
    replicas = {name: service.get("deploy", {}).get("replicas", 1) for name, service in services.items()}
    assert replicas == {"postgres": 1, "redis": 1, "migrate": 1, "worker": 2, "beat": 2, "metrics": 1}


@pytest.mark.parametrize("name", _LASTING)
def test_what_lasts_is_checked_restarted_bounded_and_its_log_rotated(services: Mapping[str, Any], name: str) -> None:
    service = services[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}


@pytest.mark.parametrize("name", [*_LASTING, "migrate"])
def test_each_has_a_file_system_that_is_read_only_and_no_right_that_it_does_not_need(
    services: Mapping[str, Any], name: str
) -> None:
    service = services[name]
    assert (service["read_only"], service["cap_drop"], service["security_opt"]) == (
        True,
        ["ALL"],
        ["no-new-privileges:true"],
    )
    assert name == "postgres" or not service["user"].startswith(("0", "root"))


def test_the_database_and_the_broker_cannot_be_reached_from_outside(services: Mapping[str, Any]) -> None:
    assert document()["networks"]["store"]["internal"] is True
    for name in ("postgres", "redis"):
        assert services[name]["networks"] == ["store"]
        assert "ports" not in services[name]
    assert {name: service["ports"] for name, service in services.items() if "ports" in service} == {
        "metrics": ["127.0.0.1:9464:9464"]
    }


def test_no_secret_stands_in_it(services: Mapping[str, Any]) -> None:
    said = [
        (name, variable, value)
        for name, service in services.items()
        for variable, value in service.get("environment", {}).items()
        if _LITERAL.search(variable)
    ]
    assert {value for _, _, value in said} == {"/run/secrets/database_password", "/run/secrets/tocsin.key"}
    assert all(variable.endswith("_FILE") for _, variable, _ in said)
    mounted = {name: set(service["secrets"]) for name, service in services.items() if "secrets" in service}
    assert mounted == {"postgres": {"database_password"}} | {
        name: {"database_password", "tocsin.key"} for name in _OURS
    }


def test_images_are_named_without_a_host_and_with_a_version(services: Mapping[str, Any]) -> None:
    recipe = services["migrate"]["build"]["dockerfile_inline"]
    images = {service["image"] for service in services.values()} | set(re.findall(r"^FROM (\S+)", recipe, re.MULTILINE))
    assert images == {"postgres:18", "valkey/valkey:9", "tocsin:0.1.0", "python:3.11-slim"}


def copied(recipe: str) -> list[str]:
    """What a recipe takes from its context."""
    return [name for line in re.findall(r"^COPY (.+)$", recipe, re.MULTILINE) for name in shlex.split(line)[:-1]]


def in_context(path: str) -> bool:
    """Whether .dockerignore lets it through: the last line that speaks of it, or of a folder that it is in, decides."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!").replace("**/", "*")
        whole = path if line.startswith("**/") else path.partition("/")[0]
        if line and not line.startswith("#") and fnmatch(whole, pattern):
            ignored = not line.startswith("!")
    return not ignored


def test_the_image_is_made_of_what_it_needs_and_never_sees_secrets_configuration_or_history(
    services: Mapping[str, Any],
) -> None:
    wanted = copied(services["migrate"]["build"]["dockerfile_inline"])
    modules = [str(path.relative_to(ROOT)) for name in wanted for path in (ROOT / name).rglob("*.py")]
    assert [] == [path for path in (*wanted, *modules) if not in_context(path)]
    kept_out = ["secrets/tocsin.key", "tocsin.toml", "tocsin.db", ".git/config", ".env", "worker/store/__pycache__"]
    assert [] == [path for path in kept_out if in_context(path)]


def test_one_service_builds_the_image_and_those_that_use_it_wait_for_that_one(services: Mapping[str, Any]) -> None:
    image = services["migrate"]["image"]
    assert [name for name, service in services.items() if "build" in service] == ["migrate"]
    others = {name: service for name, service in services.items() if service["image"] == image and name != "migrate"}
    assert set(others) == {"worker", "beat", "metrics"}
    assert {(service["pull_policy"], "migrate" in service["depends_on"]) for service in others.values()} == {
        ("never", True)
    }


@pytest.mark.parametrize("name", [*_LASTING, "migrate"])
def test_an_init_may_signal_what_it_started(services: Mapping[str, Any], name: str) -> None:
    """Without the right KILL, only what runs as its own user: what changes user later must be the first process."""
    service = services[name]
    assert service["init"] is ("user" in service) or "KILL" in service.get("cap_add", [])


def test_what_the_image_is_made_of_is_there(services: Mapping[str, Any]) -> None:
    recipe = services["migrate"]["build"]["dockerfile_inline"]
    assert [] == [name for name in copied(recipe) if not (ROOT / name).exists()]
    assert "worker" in copied(recipe)
    assert "USER 1000:1000" in recipe


@pytest.mark.parametrize("name", ["worker", "beat", "metrics"])
def test_what_works_waits_for_the_schema(services: Mapping[str, Any], name: str) -> None:
    assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert services["migrate"]["depends_on"]["postgres"] == {"condition": "service_healthy"}


@pytest.fixture
def composed(tmp_path: Path, sandbox: Sandbox, services: Mapping[str, Any]) -> Iterator[Composed]:
    """Its database and broker, started; its secrets made; a tocsin.toml for the sandbox."""
    make_secrets(tmp_path)
    (tmp_path / "tocsin.toml").write_text(configuration(sandbox, "1s"), encoding="utf-8")
    with (
        ComposedPostgres(services["postgres"], tmp_path / "secrets" / "database_password") as database,
        ComposedRedis(services["redis"]) as broker,
    ):
        hosts = {"postgres:5432": f"{LOOPBACK}:{database.port}", "redis:6379": f"{LOOPBACK}:{broker.port}"}
        made = Composed(tmp_path, services, document()["secrets"], hosts)
        assert (database.setting("max_connections"), database.setting("shared_buffers")) == ("200", "256MB")
        assert made.is_healthy("postgres")
        assert made.is_healthy("redis")
        yield made


def health(port: int) -> int | None:
    """What /healthz answers; None: nobody listens yet."""
    with suppress(ConnectionRefusedError):
        return get(port, "/healthz")[0]
    return None


def test_each_service_is_a_process_that_gets_well_works_and_ends(composed: Composed, sandbox: Sandbox) -> None:
    sandbox.publish(12)
    with composed.start("migrate") as migrate:
        assert migrate.ended() == 0, migrate.stderr
    port = free_port()
    with (
        composed.start("metrics", port) as metrics,
        composed.start("worker", free_port()) as worker,
        composed.start("beat") as beat,
    ):
        metrics.until(lambda: health(port) == 503, "it answers, and nothing works yet")
        metrics.until(lambda: health(port) == 200, "all is well", _TO_THE_END_S)
        assert [True] * 3 == [composed.is_healthy(name) for name in ("worker", "beat", "metrics")]
        worker.until(lambda: not sandbox.broken_promises(), "everything has arrived", _TO_THE_END_S)
        assert scrape(port)["tocsin_database_up",] == 1
        for process in (metrics, worker, beat):
            process.send(signal.SIGTERM)
        assert [0] * 3 == [process.ended(_TO_THE_END_S) for process in (metrics, worker, beat)]
