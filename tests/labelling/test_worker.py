import os
import signal
import time
import warnings
from concurrent.futures import CancelledError

import pytest

from fewlabel.errors import UsageError
from fewlabel.labelling.worker import _Worker, _WorkerError


def _build(start, *, progress):
    count = [start]

    def add(n):
        count[0] += n
        return count[0]

    def slow():
        warnings.warn("nobody would see where from", stacklevel=1)
        progress("counting", 3, 10)
        time.sleep(60)

    def wrong(kind):
        raise kind("Give another number.")

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    return {"add": add, "slow": slow, "wrong": wrong, "die": die, "pid": os.getpid}


@pytest.fixture(scope="module")
def worker():
    worker = _Worker(_build, 5)
    yield worker
    worker.stop()


def test_a_worker_keeps_its_state_between_calls_and_answers_them_in_order(worker):
    futures = [worker.call("add", n) for n in (1, 10)]
    assert [f.result(60) for f in futures] == [6, 16]
    assert worker.call("pid").result(60) != os.getpid()


def test_errors_reach_the_caller_and_the_process_goes_on(worker):
    with pytest.raises(UsageError, match="Give another number"):
        worker.call("wrong", UsageError).result(60)
    with pytest.raises(_WorkerError, match="ZeroDivisionError: Give another number"):
        worker.call("wrong", ZeroDivisionError).result(60)
    assert worker.call("add", 0).result(60) == 16


def test_one_that_is_killed_is_started_again(worker):
    with pytest.raises(_WorkerError, match="killed, perhaps for memory"):
        worker.call("die").result(60)
    assert worker.call("add", 0).result(60) == 5


def test_progress_is_seen_and_the_end_does_not_wait(capfd):
    worker = _Worker(_build, 0)
    slow, later = worker.call("slow"), worker.call("add", 1)
    deadline = time.monotonic() + 60
    while worker.stage.name != "counting":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (worker.stage.done, worker.stage.total) == (3, 10)
    start = time.monotonic()
    worker.stop()
    assert time.monotonic() - start < 5
    with pytest.raises(CancelledError):
        later.result(0)
    assert slow.cancelled()
    with pytest.raises(_WorkerError, match="stopped"):
        worker.call("add", 1)
    assert "nobody" not in capfd.readouterr().err
