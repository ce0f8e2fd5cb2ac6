"""The floor for what waiting costs: a process that does nothing but wake up a hundred times a second."""

from threading import Event

if __name__ == "__main__":
    never = Event()
    while not never.wait(0.01):
        pass
