"""`tocsin migrate` and `tocsin prune`: what keeps the database in order."""

from worker import operations
from worker.cli.output import complain, say
from worker.cli.scope import house, settings
from worker.store import schema
from worker.store.session import Database


def migrate() -> None:
    """Bring the database to this version's schema."""
    database = Database(settings().database)
    try:
        changed = schema.migrate(database, complain)
        now = schema.current(database)
    finally:
        database.close()
    say(f"the schema is now {now}" if changed else f"the schema was {now} already")


def prune() -> None:
    """Apply the configured retention: delete what is closed, delivered and old."""
    with house() as home:
        pruned = operations.prune(home)
    say(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in pruned.counts.items()) + " pruned")
