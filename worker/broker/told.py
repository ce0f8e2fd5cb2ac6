"""Being told to end: by a signal to the worker, for the children that it has forked."""

import mmap
import threading


class ToldToEnd(threading.Event):
    """An event that is set for good, and that children forked later see set too.

    It is one byte of shared memory. No lock goes with it, so there is none that a killed child could leave locked.
    Only `wait` is each process's own.
    """

    def __init__(self) -> None:
        super().__init__()
        self._byte = mmap.mmap(-1, 1)

    def is_set(self) -> bool:
        """Whether any of the processes set it."""
        return self._byte[0] == 1

    def set(self) -> None:
        """From now on, in all of them."""
        self._byte[0] = 1
        super().set()
