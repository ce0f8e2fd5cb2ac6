"""Python's garbage collector in a process that lives long: what stays is not looked through again and again."""

import gc

_MADE = 50_000
"""So many objects more than before, and it looks. A page of a provider's makes ten thousand, and lets them go."""


def spare_what_stays() -> None:
    """Never again look at what is there now: modules, classes, tables, settings. For children forked later as well.

    It is called when a process is about to begin its work. To look through them once takes a tenth of a second, which
    came with every few thousand rows; and it would copy for a child the pages that it shares with its parent.
    """
    gc.freeze()
    gc.set_threshold(_MADE, *gc.get_threshold()[1:])
