"""`tocsin check`: the configuration, then each source and each endpoint, a line each, with what to mend."""

from typing import Annotated

import typer

from worker import inspection
from worker.cli.output import say
from worker.cli.scope import FOUND_FAILURE, settings
from worker.wiring import House


def check(
    offline: Annotated[bool, typer.Option("--offline", help="The configuration alone; nobody is asked.")] = False,
) -> None:
    """Read the configuration, ask each source for one page, and look up each endpoint's address. Exit 1 on failure.

    WARNING is no failure: a description that may be right, but that no item of the page bears out.
    """
    if offline:
        read = settings()
        say(f"{read.path}: ok; {len(read.sources)} sources, {len(read.endpoints)} endpoints")
        return
    home = House(settings())
    say(f"{home.settings.path}: ok")
    findings = []
    for finding in inspection.check_all(home):
        findings.append(finding)
        word = "FAILED" if not finding.good else "WARNING" if finding.doubtful else "ok"
        say(f"{finding.subject}: {word}; {finding.text}")
    home.close()
    if not all(finding.good for finding in findings):
        raise typer.Exit(FOUND_FAILURE)
