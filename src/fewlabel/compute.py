"""What this machine computes fastest with: device, threads, matrix-product type, memory."""

import contextlib
import ctypes
import functools
import math
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import threadpoolctl
import torch

from fewlabel.errors import UsageError

DEVICES = ("auto", "cpu", "cuda", "mps")

# Operations of one call that a single thread is done with in a few milliseconds.
_SMALL_WORK = 1e8


def _pick_device(device: str = "auto") -> torch.device:
    """Return the torch device of a name, if it is there; ``"auto"`` is CUDA, MPS or the CPU."""
    if device not in DEVICES:
        raise UsageError(f"The device must be one of {', '.join(DEVICES)}. Got {device!r} instead.")
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if present[name]))
    if not present[device]:
        raise UsageError(
            f"The device {device!r} is not present here: use --device auto, or see "
            "`fewlabel doctor`."
        )
    return torch.device(device)


def _gemm_seconds(dtype: torch.dtype, size: int) -> float:
    a = torch.ones(size, size, dtype=dtype)
    # The best of three: the first one warms up, and other work on the machine slows any.
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _has_bf16_matrix_units() -> bool:
    # Private functions of torch, which not every version has.
    flags = getattr(torch.cpu, "_is_amx_tile_supported", None)
    avx512 = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool((flags and flags()) or (avx512 and avx512()))


def matmul_dtype(device_type: str = "cpu") -> torch.dtype:
    """Type in which this device multiplies matrices fastest at adequate precision.

    A CPU is asked by its instruction set: bfloat16 with AMX or AVX512-BF16, else float32.
    ``FEWLABEL_MATMUL=float32|bfloat16`` overrides it.

    Parameters
    ----------
    device_type : {"cpu", "cuda", "mps"}
        Type of the device.

    Returns
    -------
    torch.dtype
        ``torch.bfloat16`` or ``torch.float32``. Sums are float32 either way.

    Raises
    ------
    UsageError
        If ``FEWLABEL_MATMUL`` names another type.
    """
    forced = os.environ.get("FEWLABEL_MATMUL")
    if forced is not None:
        if forced not in ("float32", "bfloat16"):
            raise UsageError(
                f"FEWLABEL_MATMUL must be float32 or bfloat16. Got {forced!r} instead."
            )
        return torch.float32 if forced == "float32" else torch.bfloat16
    if device_type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    # Several times as fast with matrix units for it, and about fifty times slower where it is
    # emulated. Not by a timing: two runs on one machine must agree to the last bit.
    if device_type == "cpu" and _has_bf16_matrix_units():
        return torch.bfloat16
    return torch.float32


@contextlib.contextmanager
def _full_precision() -> Iterator[None]:
    """Compute in float32 while the block runs; no other thread may compute meanwhile."""
    before = os.environ.get("FEWLABEL_MATMUL")
    os.environ["FEWLABEL_MATMUL"] = "float32"
    try:
        yield
    finally:
        os.environ.pop("FEWLABEL_MATMUL")
        if before is not None:
            os.environ["FEWLABEL_MATMUL"] = before


def _threads_for(operations: float) -> contextlib.AbstractContextManager[Any]:
    """Keep numpy, SciPy and scikit-learn on one thread for calls of less than 10^8 operations."""
    # Handing a product of a fraction of a millisecond to several threads costs more than it saves,
    # and on a busy machine, where each waits for the slowest, a hundred times more.
    if operations >= _SMALL_WORK:
        return contextlib.nullcontext()
    return _thread_pools().limit(limits=1)


def _in_threads(work: Callable[[slice], None], n: int, step: int) -> None:
    """Do ``work`` on parts of n items, whole steps each, in threads that compute alone.

    To wake a sleeping thread of OpenMP takes as long as a product of a few images: two threads
    that share each product are no faster than one, two that have images of their own are.
    """
    n_threads = torch.get_num_threads()
    # Some parts a thread, so that none waits long for one that other programs have held up.
    size = step * math.ceil(n / (4 * n_threads * step))
    parts = [slice(start, start + size) for start in range(0, n, size or 1)]
    if n_threads == 1 or len(parts) < n_threads:
        for part in parts:
            work(part)
        return

    def alone(part: slice) -> None:
        torch.set_num_threads(1)
        work(part)

    try:
        with ThreadPoolExecutor(n_threads, thread_name_prefix="fewlabel-compute") as pool:
            list(pool.map(alone, parts))
    finally:
        # What was set there holds for every thread that begins after it, too.
        torch.set_num_threads(n_threads)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Multiply two float32 matrices, large ones by torch.

    Where numpy was imported before fewlabel, its threads spin for a while after a product, and take
    the cores from what follows. Small products are summed in float64, so that a row's does not
    depend on the rows beside it.
    """
    if 2 * a.size * b.shape[1] < _SMALL_WORK:
        return (a.astype(np.float64) @ b).astype(np.float32)
    return torch.mm(torch.from_numpy(a), torch.from_numpy(b)).numpy()


# To look for the pools takes longer than many a product: once is enough.
@functools.cache
def _thread_pools() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController()


def _gemm_rates(size: int = 1024) -> dict[str, float]:
    """Measure matrix-product rates of the CPU, by dtype in GFLOP/s, for ``fewlabel doctor``."""
    flops = 2.0 * size**3
    rates = {"float32": flops / _gemm_seconds(torch.float32, size) / 1e9}
    # Emulated bfloat16 would take seconds at full size: a smaller product shows it as well.
    small = size if _has_bf16_matrix_units() else min(size, 256)
    rates["bfloat16"] = 2.0 * small**3 / _gemm_seconds(torch.bfloat16, small) / 1e9
    return rates


def _return_memory() -> None:
    """Give back to the system what small arrays took, which glibc keeps after they are gone."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def peak_rss_mb() -> float:
    """Peak resident memory of this process so far.

    Returns
    -------
    float
        Megabytes (10^6 bytes).
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _as_generator(seed: int | np.random.RandomState | None) -> np.random.Generator:
    """Return a numpy generator for any ``random_state``, the same for the same integer."""
    if isinstance(seed, np.random.RandomState):
        return np.random.default_rng(int(seed.randint(2**31 - 1)))
    if seed is None:
        return np.random.default_rng(int(np.random.mtrand._rand.randint(2**31 - 1)))
    return np.random.default_rng(seed)


@contextlib.contextmanager
def _timed_stage(
    seconds: dict[str, float], stage: str, progress: Callable[[str, int, int], None] | None = None
) -> Iterator[None]:
    """Note under its name how long a stage takes, and report its start and its end."""
    start = time.perf_counter()
    if progress is not None:
        progress(stage, 0, 1)
    yield
    if progress is not None:
        progress(stage, 1, 1)
    seconds[stage] = time.perf_counter() - start
