"""The commands: parse, call one function, print (INTERFACE, section 3)."""

from worker.cli.main import main

__all__ = ["main"]
