"""`python -m worker.cli`: the command, where it is not on the PATH."""

from worker.cli.main import main

main()
