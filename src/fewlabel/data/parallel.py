"""Work on many files at once: Pillow and hashing release the interpreter's lock."""

import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias, TypeVar

from fewlabel.threads import _usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress: TypeAlias = Callable[[int, int], None]
"""Called with what is done and what there is to do (0 if unknown)."""

# Items of one task: to hand out each by itself would cost more than a small image's decoding.
_CHUNK = 16
# What takes fewer seconds each, threads do more slowly than one: Pillow gives up the interpreter's
# lock several times for each image, and must wait for it each time.
_SHORT, _TRIED = 3e-4, 2


def _worker_count() -> int:
    """Count the threads that decode images: one for each core this process may use."""
    return min(16, _usable_cores())


def _parallel_map(
    function: Callable[[Item], Result], items: Sequence[Item], *, progress: Progress | None = None
) -> list[Result]:
    """Apply a function to every item, in threads where that pays; results keep the order."""

    def work(chunk: Sequence[Item]) -> list[Result]:
        return [function(item) for item in chunk]

    results = _apply_while_short(function, items, progress)
    if len(results) == len(items):
        return results
    chunks = (items[start : start + _CHUNK] for start in range(len(results), len(items), _CHUNK))
    under_way: deque[Future[list[Result]]] = deque()
    pool = ThreadPoolExecutor(_worker_count(), thread_name_prefix="fewlabel-decode")
    try:
        # Handed out little by little: after Ctrl-C only a few chunks are left to end.
        for chunk in itertools.chain(chunks, itertools.repeat(None, 4 * _worker_count())):
            if chunk is not None:
                under_way.append(pool.submit(work, chunk))
            if under_way and (chunk is None or len(under_way) >= 4 * _worker_count()):
                results.extend(under_way.popleft().result())
                if progress is not None:
                    progress(len(results), len(items))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return results


def _apply_while_short(
    function: Callable[[Item], Result], items: Sequence[Item], progress: Progress | None
) -> list[Result]:
    """Apply a function to the first items, one by one, up to where they take longer."""
    results: list[Result] = []
    is_short = True
    while is_short and len(results) < len(items):
        seconds = []
        for item in items[len(results) : len(results) + (_CHUNK if results else _TRIED)]:
            start = time.perf_counter()
            results.append(function(item))
            seconds.append(time.perf_counter() - start)
        # Not their mean: what is loaded at the first call, or another program, may come between.
        is_short = sorted(seconds)[len(seconds) // 4] < _SHORT
        if progress is not None:
            progress(len(results), len(items))
    return results
