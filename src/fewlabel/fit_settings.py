"""What a fit is asked for; without torch, so that a page that only passes it on opens fast."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FitSettings:
    """What a fit is asked for.

    Attributes
    ----------
    method : str
        How to learn, by the name of a candidate; ``"auto"`` tries those that suit the data and
        the time, and keeps what predicts held-out labels best. Methods that train networks take
        half an hour by default.
    features : str
        ``"auto"``, ``"patches"``, ``"pixels"`` or the timm name of a network; several, as in
        ``"a,b"``, are joined.
    weights : str or None
        A ``.safetensors`` file for the network.
    seed : int
        Seed of every random choice.
    device : {"auto", "cpu", "cuda", "mps"}
        Where a network runs.
    time_budget : float or None
        Seconds to spend. Other patch features are tried, and from five minutes on ``"auto"``
        tries networks as well; kept is what held-out labels favor. None tries neither.
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
