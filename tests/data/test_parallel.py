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


def test_an_exception_is_raised_and_the_rest_is_dropped():
    begun = []

    def fail(item):
        begun.append(item)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _parallel_map(fail, range(100_000))
    assert len(begun) <= 4 * _worker_count()
