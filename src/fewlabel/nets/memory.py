"""What happens when memory runs out: half as many rows at once, and a warning."""

import warnings

import torch

# CUDA, MPS and the CPU's allocator have classes and words of their own.
_SIGNS = ("out of memory", "can't allocate memory", "not enough memory")


def _is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception means that memory ran out."""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in _SIGNS)


def _warn_halved(rows: int, device: torch.device) -> None:
    """Free what can be freed, and say how many rows are worked on at once from now on."""
    # Blocks of the size that failed are of no use to smaller batches.
    if device.type == "cuda":
        torch.cuda.empty_cache()
    warnings.warn(
        f"Memory ran out on {device}: from now on at most {rows} rows are worked on at once, "
        "half as many as before. A training step still counts all its rows.",
        RuntimeWarning,
        stacklevel=3,
    )
