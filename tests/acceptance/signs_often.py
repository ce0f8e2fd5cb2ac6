"""`tocsin run` with a scheduler that gives signs of life each second."""

import sys
from datetime import timedelta

from schedules.sparing import Sparing
from worker import embedded, logs


class Often(Sparing):
    """Our own, but for that."""

    sign_every = timedelta(seconds=1)


logs.configure(sys.stderr, json=True)
embedded.Beat.scheduler = Often
sys.exit(embedded.run())
