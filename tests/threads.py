"""Threads of a test, and where they stand."""

import sys
from threading import Thread


def stands_in(thread: Thread) -> list[str]:
    """The functions that it is in, the innermost first."""
    frame, names = sys._current_frames().get(thread.ident or 0), []  # noqa: SLF001  # there is no other way to see it wait
    while frame:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names
