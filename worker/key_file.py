"""The key file of an embedded database: beside it, readable by its owner alone; one key a line, the newest first.

It is never written in place: another file, whole and on disk, takes its name.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.fernet import Fernet

from worker.errors import ConfigurationError


class KeyFile:
    """The keys in the file, read again when it has changed. The file is made when there is none.

    It appears with its key in it, so that processes that start together have the same one. Raises ConfigurationError
    when it holds no key, or something else besides.
    """

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".key")
        self._seen: tuple[int, int, int] | None = None
        self._keys: tuple[str, ...] = ()

    def keys(self) -> tuple[str, ...]:
        """Those that are in it now."""
        if not self.path.exists():
            self._write([_new()], os.link)
        found = self.path.stat()
        if self._seen != (now := (found.st_ino, found.st_mtime_ns, found.st_size)):
            self._keys, self._seen = self._read(), now
        return self._keys

    def add(self) -> None:
        """A new key in front; those before still open what they sealed."""
        self._write([_new(), *self.keys()], os.replace)

    def keep_first(self) -> None:
        """The newest key alone."""
        self._write(self.keys()[:1], os.replace)

    def _read(self) -> tuple[str, ...]:
        try:
            keys = self.path.read_bytes().split()
            for key in keys:
                Fernet(key)
            if keys:
                return tuple(key.decode("ascii") for key in keys)
        except ValueError:
            pass
        reason = f"key: {self.path} holds no key; restore it, or remove it if no secret was ever stored"
        raise ConfigurationError([reason])

    def _write(self, keys: Sequence[str], take_name: Callable[[str, Path], None]) -> None:
        folder = self.path.parent
        with NamedTemporaryFile(dir=folder, prefix=f"{self.path.name}.", delete=False) as file:  # mode 0600
            file.write("".join(f"{key}\n" for key in keys).encode())
            file.flush()
            os.fsync(file.fileno())
        try:
            with suppress(FileExistsError):  # another process was quicker to make one
                take_name(file.name, self.path)
        finally:
            Path(file.name).unlink(missing_ok=True)
        _onto_disk(folder)


def _onto_disk(folder: Path) -> None:
    """A new name in a folder outlasts a power cut only then."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _new() -> str:
    return Fernet.generate_key().decode()
