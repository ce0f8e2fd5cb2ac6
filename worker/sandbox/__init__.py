"""The three providers' APIs and a receiver of webhooks on loopback, for the demo, the tests and the benchmarks.

They are written from PROVIDERS.md alone, so that they can contradict our own reading of it.
"""

from worker.sandbox.clock import HandClock
from worker.sandbox.faults import GARBLED, Fail, Refuse, Throttle
from worker.sandbox.promises import Tally, broken_promises, tally
from worker.sandbox.receiver import Received, Receiver
from worker.sandbox.sandbox import PATH, Happening, Mix, Sandbox, paced
from worker.sandbox.wire import Answer, BreakOff, Cut, Flood, Hang, Trickle

__all__ = [
    "GARBLED",
    "PATH",
    "Answer",
    "BreakOff",
    "Cut",
    "Fail",
    "Flood",
    "HandClock",
    "Hang",
    "Happening",
    "Mix",
    "Received",
    "Receiver",
    "Refuse",
    "Sandbox",
    "Tally",
    "Throttle",
    "Trickle",
    "broken_promises",
    "paced",
    "tally",
]
