"""`tocsin rotate-key`."""

import typer

from worker.cli.output import complain, say
from worker.cli.scope import FOUND_FAILURE, house
from worker.resealing import rotate_key


def rotate() -> None:
    """Seal all stored secrets anew, with the first key of TOCSIN_KEY; an embedded database's own key is replaced.

    To change a configured key: write the new one before the old one, restart, rotate, take the old one away.
    """
    with house() as home:
        own = home.own_keys
        *_, done = rotate_key(home.database, home.vault, own)
    say(f"sealed anew: {done.secrets} endpoint secrets, {done.tokens} tokens; {done.current} were sealed so already")
    if own:
        say(f"{own.path.name} holds a new key, and no other")
    elif len(home.settings.key) > 1:
        say("the first key opens everything; the others are of no more use")
    for name in done.unopened:
        complain(f"key: a stored secret of endpoint {name} was sealed with another key; add that key too")
    if done.unopened:
        raise typer.Exit(FOUND_FAILURE)
