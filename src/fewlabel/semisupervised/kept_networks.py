"""Finished networks on disk, so that a road that was interrupted does not train them again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from pathlib import Path
from typing import Any

from fewlabel.errors import ModelFormatError
from fewlabel.files import atomic_file
from fewlabel.nets import FineTuning, NetworkClassifier
from fewlabel.persist import load_bundle, save_bundle
from fewlabel.persist.strict_json import dump_json, parse_json
from fewlabel.semisupervised import ConsistencyTraining

Trained = NetworkClassifier | FineTuning | ConsistencyTraining

ROUNDS = "rounds"
"""Folder of the networks of every round, in the run folder as in that of an open training."""

_KIND = "network-of-a-road"
_CLASSES: dict[str, Any] = {
    kind.__name__: kind for kind in (NetworkClassifier, FineTuning, ConsistencyTraining)
}


class KeptNetworks:
    """Networks of one road, by name.

    Parameters
    ----------
    folder : Path or None
        Where to keep them; None keeps nothing.
    about : object
        JSON types that name images, labels and settings: the networks of another road are not
        taken.

    Examples
    --------
    >>> KeptNetworks(None, {}).get("final-1") is None
    True
    """

    def __init__(self, folder: Path | None, about: Any) -> None:
        self.folder = folder
        text = json.dumps(about, sort_keys=True, default=str)
        self._road = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

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
        return self.folder / f"{self._road}-{name}.training.safetensors"

    def rounds_folder(self) -> Path | None:
        """Name the folder for the networks of every round, which go into the run folder.

        Returns
        -------
        Path or None
            The folder; None where nothing is kept.
        """
        return None if self.folder is None else self.folder / ROUNDS

    def steps(self) -> int | None:
        """Give the number of steps that this road was begun with.

        A machine is never quite as fast as before: measured again, the state of a training
        would not fit the new number of steps.

        Returns
        -------
        int or None
            The number; None if none is kept.
        """
        if self.folder is None:
            return None
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return int(parse_json(self._steps_file().read_bytes())["n_steps"])
        return None

    def keep_steps(self, n_steps: int) -> None:
        """Keep the number of steps.

        Parameters
        ----------
        n_steps : int
            Steps of each training.
        """
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_file(self._steps_file()) as temporary:
            temporary.write_bytes(dump_json({"n_steps": n_steps}))

    def get(self, name: str, device: str = "auto") -> Trained | None:
        """Give a finished network.

        Parameters
        ----------
        name : str
            Name of its training.
        device : {"auto", "cpu", "cuda", "mps"}
            Where it shall predict.

        Returns
        -------
        NetworkClassifier, FineTuning, ConsistencyTraining or None
            The network; None if it is not there, or damaged.
        """
        place = self._place(name)
        if place is None or not place.is_dir():
            return None
        with contextlib.suppress(ModelFormatError, KeyError):
            bundle = load_bundle(place, kind=_KIND)
            make = _CLASSES[bundle.meta["class"]]
            network: Trained = make.from_state(bundle.arrays, bundle.meta["network"], device=device)
            network.history_ = bundle.meta["history"]
            return network
        return None

    def put(self, name: str, network: Trained) -> None:
        """Keep a finished network.

        Parameters
        ----------
        name : str
            Name of its training.
        network : NetworkClassifier, FineTuning or ConsistencyTraining
            The network.
        """
        place = self._place(name)
        if place is None:
            return
        arrays, meta = network.to_state()
        history = [{key: _plain(value) for key, value in row.items()} for row in network.history_]
        about = {"class": type(network).__name__, "network": meta, "history": history}
        save_bundle(place, kind=_KIND, arrays=arrays, meta=about, force=True)

    def _steps_file(self) -> Path:
        assert self.folder is not None
        return self.folder / f"{self._road}-steps.json"

    def _place(self, name: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{self._road}-{name}"


def _plain(value: Any) -> Any:
    """Give what JSON takes: no NaN, no numpy number."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
