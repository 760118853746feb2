import threading
from types import SimpleNamespace

import pytest

from fewlabel.data.parallel import _parallel_map, _worker_count


def test_results_keep_the_order_and_progress_reaches_the_end():
    calls: list[tuple[int, int]] = []
    results = _parallel_map(str, range(1001), progress=lambda *call: calls.append(call))
    assert results == [str(i) for i in range(1001)]
    assert calls[-1] == (1001, 1001)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert _parallel_map(str, []) == []
    assert 1 <= _worker_count() <= 16


@pytest.mark.parametrize("n_short", [0, 1, 40, 200])
def test_threads_begin_where_items_take_longer(monkeypatch, n_short):
    main, alone, clock = threading.get_ident(), [], [0.0]
    # A clock of its own: on a busy machine every item may take long.
    watch = SimpleNamespace(perf_counter=lambda: clock[0])
    monkeypatch.setattr("fewlabel.data.parallel.time", watch)

    def work(item):
        alone.append(threading.get_ident() == main)
        clock[0] += 0 if item < n_short else 0.002
        return item

    calls: list[int] = []
    found = _parallel_map(work, range(200), progress=lambda done, _: calls.append(done))
    assert found == list(range(200))
    assert calls == sorted(calls)
    assert calls[-1] == 200
    # Two are tried, then it is looked at anew after each sixteen.
    assert n_short <= sum(alone) <= max(2, n_short + 2 * 16)


def test_an_exception_is_raised_and_the_rest_is_dropped():
    begun = []

    def fail(item):
        begun.append(item)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _parallel_map(fail, range(100_000))
    assert len(begun) <= 4 * _worker_count()
