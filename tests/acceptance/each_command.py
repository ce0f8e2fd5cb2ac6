"""Each of these commands as a process of its own, forked once what all need is loaded.

Says their exit statuses. A command that goes on and on is ended.
"""

import os
import signal
import sys

from worker.cli.main import main

_AT_MOST_S = 60


def begun(command: str) -> int:
    """Its process."""
    child = os.fork()
    if child:
        return child
    signal.alarm(_AT_MOST_S)
    sys.argv = ["tocsin", command]
    main()
    sys.exit()


if __name__ == "__main__":
    children = [begun(command) for command in sys.argv[1:]]
    ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    sys.stdout.write(f"{ends}\n")
