"""What a fit can be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FitSettings:
    """What a fit can be told.

    Attributes
    ----------
    method : str
        How to learn: ``"auto"`` lets cross-fitting choose; ``"graph"``, ``"blend"``,
        ``"student"`` and ``"supervised"`` are the main job's candidates; ``"network"`` (graph
        and networks teach each other), ``"self-training"``, ``"consistency"``,
        ``"fine-tuning"`` and ``"experts"`` train networks, by default for half an hour.
    features : str
        ``"auto"``, ``"patches"``, ``"pixels"`` or the timm name of a network.
    weights : str or None
        A ``.safetensors`` file for the network.
    seed : int
        Seed of every random choice.
    device : {"auto", "cpu", "cuda", "mps"}
        Where a network runs.
    time_budget : float or None
        Seconds to spend. From five minutes on, ``"auto"`` tries networks as well, and keeps them
        where held-out labels favour it; None stays with the main job.
    cache : bool
        Take features of an earlier run on the same images from the disk, and keep new ones.
    checkpoint : Path or None
        Folder for the state of networks in training, to go on from after an interruption.
    """

    method: str = "auto"
    features: str = "auto"
    weights: str | None = None
    seed: int = 0
    device: str = "auto"
    time_budget: float | None = None
    cache: bool = False
    checkpoint: Path | None = None
