"""The command `tocsin`, and `python -m worker.cli` where it is not on the PATH."""

from worker.cli.main import main

if __name__ == "__main__":
    main()
