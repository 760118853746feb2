"""How many cores this process may use, and threads that do not disturb their neighbors."""

from __future__ import annotations

import math
import os
from collections.abc import MutableMapping
from pathlib import Path

_MAX_THREADS = 16
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
# Read when the pools of torch, numpy, SciPy and scikit-learn are made.
_WITHOUT_SPINNING = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "KMP_BLOCKTIME": "0",
    # The exponent of a number of cycles; 4 is the least it takes.
    "OPENBLAS_THREAD_TIMEOUT": "4",
}
# oneDNN keeps a compiled product for each shape it has seen, 1,024 of them: neighbors are searched
# in cells of all sizes, and 60,000 images took 280 MB more, for no gain in time.
_MAX_COMPILED = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256"}


def _usable_cores() -> int:
    """Count the cores that this process may use."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text().split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        # No Linux, no cgroup of the second version, or no quota: "max".
        pass
    return max(1, cores)


def _calm_threads(environment: MutableMapping[str, str] = os.environ) -> None:
    """Bound the threads of numerical libraries, and let those that wait sleep."""
    # A thread that spins while it waits takes the core from the one it waits for, as soon as
    # another program runs: a fit beside two took four to eight times as long.
    for name, value in (_WITHOUT_SPINNING | _MAX_COMPILED).items():
        environment.setdefault(name, value)
    environment.setdefault("OMP_NUM_THREADS", str(min(_MAX_THREADS, _usable_cores())))
