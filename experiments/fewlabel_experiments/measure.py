"""Seconds and memory of a row, with the work that it shares with others kept apart."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass
class Cost:
    """What a row cost."""

    seconds: float = 0.0  # its own time, without what it shares with other rows
    # Seconds of each shared piece that it used, made now or earlier
    shared: dict[str, float] = field(default_factory=dict)
    # Highest memory of the process in megabytes (10^6 bytes) while it ran; on systems other than
    # Linux, since the process began
    peak_mb: float = 0.0


class SharedWork:
    """Pieces that several rows use, such as a clustering: made once, timed apart."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[Any, float]] = {}
        self._used: dict[str, float] = {}
        self._elsewhere = 0.0

    def get(self, name: str, make: Callable[[], T]) -> T:
        """Return a shared piece; the first call makes it."""
        if name not in self._made:
            start = time.perf_counter()
            value = make()
            seconds = time.perf_counter() - start
            self._made[name] = (value, seconds)
            self._elsewhere += seconds
        value, self._used[name] = self._made[name]
        return value

    @contextlib.contextmanager
    def row(self) -> Iterator[Cost]:
        """Measure a row while the block runs."""
        self._used, self._elsewhere = {}, 0.0
        reset_peak()
        cost = Cost()
        start = time.perf_counter()
        yield cost
        cost.seconds = time.perf_counter() - start - self._elsewhere
        cost.shared = dict(self._used)
        cost.peak_mb = peak_mb()


def reset_peak() -> None:
    """Begin to measure the peak of memory anew, where the system can."""
    # No such file but on Linux, and containers may forbid it: the peak is then the process's.
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5")


def peak_mb() -> float:
    """Return the highest memory of this process since `reset_peak`, in megabytes."""
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
