"""What machine this is, how many of its cores may be used, and threads that disturb nobody."""

import math
import os
import platform
import sys
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
# in cells of all sizes, and 60,000 images took 280 MB more, for no gain in time; with 16 instead of
# 256, 140,000 take 320 MB less in the same time.
_MAX_COMPILED = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "32"}


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


def _processor_name() -> str:
    names = [value for name, value in _lines_of("/proc/cpuinfo") if name == "model name"]
    return names[0] if names else platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    """Return how much memory there is; None where that is not known."""
    sizes = [value for name, value in _lines_of("/proc/meminfo") if name == "MemTotal"]
    if sizes:
        return 1024 * int(sizes[0].split()[0])
    # On macOS there is no /proc, but a POSIX call.
    if hasattr(os, "sysconf") and sys.platform != "win32":
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _lines_of(path: str) -> list[tuple[str, str]]:
    """Return the names and values of a file of the Linux kernel; none elsewhere."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    pairs = (line.partition(":") for line in lines)
    return [(name.strip(), value.strip()) for name, _, value in pairs]
