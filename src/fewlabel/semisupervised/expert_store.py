"""Rounds of binary experts on disk: both networks of each, what it accepted and what it did."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from sklearn.base import clone

from fewlabel.errors import ModelFormatError
from fewlabel.nets import FineTuning, Network, NetworkClassifier
from fewlabel.nets.state import network_from_state, network_to_state
from fewlabel.persist import load_bundle, save_bundle
from fewlabel.semisupervised.binary_heads import ClaimScale

Multiclass = NetworkClassifier | FineTuning

MULTICLASS_KIND = "experts-multiclass"
EXPERTS_KIND = "experts-binary"


@dataclass(frozen=True)
class ExpertRound:
    """What a round did.

    Attributes
    ----------
    round : int
        Number of the round; 0 is training on the labels alone.
    n_accepted, n_rejected : int
        Unlabelled rows that the experts agreed on, and the others.
    n_new, n_revoked : int
        Pseudo-labels that the round before did not have, and those of it that were taken back.
    mean_confidence : float or None
        Mean confidence of the accepted ones; None where there are none.
    accepted_by_class, rejected_by_class, revoked_by_class : list of int
        The same counts by class; rejected ones by that of the most confident expert.
    accuracy : float or None
        Accuracy on held-out labels after the round; None without such labels.
    outcome : str
        ``"trained"``, ``"no claims"`` or ``"collapsed"``.
    seconds : float
        Time of the round.
    """

    round: int
    n_accepted: int = 0
    n_rejected: int = 0
    n_new: int = 0
    n_revoked: int = 0
    mean_confidence: float | None = None
    accepted_by_class: list[int] = field(default_factory=list)
    rejected_by_class: list[int] = field(default_factory=list)
    revoked_by_class: list[int] = field(default_factory=list)
    accuracy: float | None = None
    outcome: str = "trained"
    seconds: float = 0.0


@dataclass
class RoundState:
    """The networks after a round, and the pseudo-labels that it trained on.

    Attributes
    ----------
    record : ExpertRound
        What the round did.
    multiclass : NetworkClassifier or FineTuning
        The multi-class network.
    experts : Network or None
        The experts that judged; None in round 0.
    scale : ClaimScale or None
        Calibrates what they claim.
    rows, codes : ndarray of shape (m,), int64
        Accepted rows and their classes.
    confidence : ndarray of shape (m,)
        Confidence of each.
    held_proba : ndarray of shape (h, K)
        What the multi-class network says of the held-out rows.
    """

    record: ExpertRound
    multiclass: Multiclass
    experts: Network | None = None
    scale: ClaimScale | None = None
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    codes: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    confidence: np.ndarray = field(default_factory=lambda: np.empty(0))
    held_proba: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))


class RoundFolder:
    """Rounds on disk, each with its two networks, loadable one by one.

    Parameters
    ----------
    folder : Path or None
        Where to keep them; None keeps nothing.
    about : str
        Digest of data and settings: rounds of another run are not taken.
    """

    def __init__(self, folder: Path | None, about: str) -> None:
        self.folder = folder
        self.about = about

    def training_file(self, name: str) -> Path | None:
        """Name the file for the state of a training.

        Parameters
        ----------
        name : str
            Name of the training.

        Returns
        -------
        Path or None
            The file; None where nothing is kept.
        """
        if self.folder is None:
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{name}.training.safetensors"

    def put(self, number: int, state: RoundState) -> None:
        """Write a round; the first one takes the place of all rounds of another run.

        Parameters
        ----------
        number : int
            Its number.
        state : RoundState
            The round.
        """
        if self.folder is None:
            return
        if number == 0:
            for stale in self.folder.glob("round-[0-9]*"):
                if stale.is_dir():
                    shutil.rmtree(stale)
        place = self.folder / f"round-{number}"
        place.mkdir(parents=True, exist_ok=True)
        if state.experts is not None and state.scale is not None:
            arrays, network = network_to_state(state.experts, state.multiclass.classes_)
            meta = {"network": network, "scale": state.scale.to_dict()}
            save_bundle(place / "experts", kind=EXPERTS_KIND, arrays=arrays, meta=meta, force=True)
        arrays, network = state.multiclass.to_state()
        accepted = {
            "accepted.rows": state.rows,
            "accepted.codes": state.codes,
            "accepted.confidence": state.confidence,
        }
        # Written last: a round counts once this is there.
        save_bundle(
            place / "multiclass",
            kind=MULTICLASS_KIND,
            arrays=arrays | accepted,
            meta={"network": network, "record": asdict(state.record), "about": self.about},
            force=True,
        )

    def get(self, number: int, template: Multiclass) -> RoundState | None:
        """Read a round.

        Parameters
        ----------
        number : int
            Its number.
        template : NetworkClassifier or FineTuning
            A multi-class network to clone the settings of.

        Returns
        -------
        RoundState or None
            The round; None if it is not there, damaged, or of another run.
        """
        if self.folder is None:
            return None
        place = self.folder / f"round-{number}"
        try:
            bundle = load_bundle(place / "multiclass", kind=MULTICLASS_KIND)
            if bundle.meta["about"] != self.about:
                return None
            arrays = dict(bundle.arrays)
            rows, codes, confidence = (
                arrays.pop(f"accepted.{name}") for name in ("rows", "codes", "confidence")
            )
            loaded = type(template).from_state(
                arrays, bundle.meta["network"], device=template.device
            )
            multiclass = clone(template)
            for name in ("network_", "classes_", "task_"):
                setattr(multiclass, name, getattr(loaded, name))
            multiclass.history_ = []
            experts, scale = None, None
            if number:
                experts, scale = load_experts(place / "experts")
            record = ExpertRound(**bundle.meta["record"])
        except (ModelFormatError, KeyError, TypeError):
            return None
        return RoundState(record, multiclass, experts, scale, rows, codes, confidence)


def load_experts(folder: str | Path) -> tuple[Network, ClaimScale]:
    """Read the experts of a round.

    Parameters
    ----------
    folder : str or Path
        The folder ``experts`` of a round.

    Returns
    -------
    experts : Network
        Its outputs are logits, one for each class against all others.
    scale : ClaimScale
        Calibrates them.

    Raises
    ------
    ModelFormatError
        If the folder is no such model, or damaged.
    """
    import torch

    bundle = load_bundle(folder, kind=EXPERTS_KIND)
    network, _ = network_from_state(bundle.arrays, bundle.meta["network"], torch.device("cpu"))
    numbers = bundle.meta["scale"]
    scale = ClaimScale(np.array(numbers["log_odds"]), numbers["slope"], numbers["offset"])
    return network, scale
