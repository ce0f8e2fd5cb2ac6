"""The sandbox as a tocsin.toml."""

import tomllib

from worker.sandbox import Sandbox
from worker.sandbox.configuration import configuration


def test_the_configuration_is_toml_of_the_same_sources_and_endpoint(sandbox: Sandbox) -> None:
    read = tomllib.loads(configuration(sandbox, "1s", broker="redis://127.0.0.1:1/0"))
    assert (read["database"], read["broker"]) == ("sqlite:///tocsin.db", "redis://127.0.0.1:1/0")
    assert read["sources"] == {name: {**source, "every": "1s"} for name, source in sandbox.sources().items()}
    assert read["endpoints"] == sandbox.endpoints()
