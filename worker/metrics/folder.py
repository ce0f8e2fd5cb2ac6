"""The folder in which the processes of one worker count together: ours, for as long as we live."""

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

_PREFIX = "tocsin-metrics-"
_LOCK = "in-use"


def shared_folder(within: Path | None = None) -> Path:
    """A new empty folder, gone when this process ends. Those that were left by killed processes go now.

    A lock on a file in it says that it is in use: it outlives no process, whatever ended that.
    """
    parent = within or Path(tempfile.gettempdir())
    for left in parent.glob(f"{_PREFIX}*"):
        _remove_if_left(left)
    while not (folder := _made(parent)):
        pass
    atexit.register(_remove, folder, os.getpid())
    return folder


def _made(parent: Path) -> Path | None:
    """A folder that is locked; None where another process took it for one that was left, before it was."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    held = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(held, fcntl.LOCK_EX)
    if os.fstat(held).st_nlink:
        return folder
    os.close(held)
    return None


def _remove_if_left(folder: Path) -> None:
    """One without a lock's file is just being made, or another user's."""
    with suppress(OSError):
        lock = os.open(folder / _LOCK, os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _remove(folder: Path, owner: int) -> None:
    """A child that ends is not the end."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
