from multiprocessing import get_context

from worker.broker.told import ToldToEnd


def test_a_child_sees_what_its_parent_was_told_after_the_fork() -> None:
    told, fork = ToldToEnd(), get_context("fork")
    begun, seen = fork.Event(), fork.Queue()

    def child() -> None:
        seen.put(told.is_set())
        begun.wait()
        seen.put(told.is_set())

    process = fork.Process(target=child)
    process.start()
    assert seen.get() is False
    told.set()
    begun.set()
    assert seen.get() is True
    process.join()
    seen.close()
    seen.join_thread()
    assert told.wait(0)
