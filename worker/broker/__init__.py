"""Redis as a broker that may die: Celery's settings, the guards against kombu's losses, and the watchdog behind them.

settings   what Celery is told (CELERY.md, section 2)
channel    guard 1: what meets a connection that is gone says so, instead of ending the worker
stuck      guard 2: what nobody will acknowledge any more is noticed, instead of filling the window for ever
room       no queue fills Redis while nobody takes anything from it
ending     a worker that is told to end does, whatever is still open then
watchdog   a worker that takes nothing ends, so that its supervisor starts another
"""
