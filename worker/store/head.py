"""The schema of this version, and which others it can be at work on."""

from dataclasses import dataclass

HEAD = "0010"
"""The newest file in migrations/versions."""


@dataclass(frozen=True, slots=True)
class Found:
    """The schema of a database: its newest migration, and the oldest version whose processes survive it.

    None: no migration told so yet, as before 0009.
    """

    version: str
    compatible_since: str | None = None

    def problem(self, head: str = HEAD) -> str | None:
        """What keeps a version with that head from working on it, and what to do about it; None: nothing does."""
        if self.version < head:
            return f"its schema is {self.version}, this version needs {head}: run tocsin migrate"
        if self.version == head or (self.compatible_since is not None and self.compatible_since <= head):
            return None
        return f"its schema ({self.version}) is newer than this version's ({head}): update Tocsin"
