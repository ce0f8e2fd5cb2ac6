"""The sandbox as a tocsin.toml."""

import json
from collections.abc import Mapping
from typing import Any

from worker.sandbox.sandbox import Sandbox


def configuration(sandbox: Sandbox, every: str, **top: str) -> str:
    """A configuration of the sandbox's three sources and its endpoint, on a database beside the file."""
    head = {"database": "sqlite:///tocsin.db", "broker": "memory://"} | top
    sources = {name: {**source, "every": every} for name, source in sandbox.sources().items()}
    return written(head, {"sources": sources, "endpoints": sandbox.endpoints()})


def written(head: Mapping[str, Any], tables: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """TOML: the top keys, then `[group.name]` tables."""
    lines = [f"{key} = {_toml(value)}" for key, value in head.items()]
    for group, members in tables.items():
        for name, table in members.items():
            lines += ["", f"[{group}.{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    """A value on one line; JSON's strings, numbers and lists are TOML's too."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(member)}" for key, member in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(member) for member in value) + "]"
    return json.dumps(value)
