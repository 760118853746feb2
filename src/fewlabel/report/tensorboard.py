"""The curves of trained networks as event files, which TensorBoard shows."""

import json
import numbers
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fewlabel import __version__
from fewlabel.extras import require
from fewlabel.files import atomic_folder
from fewlabel.semisupervised.history import TrainingHistory

_NO_CURVES = ("network", "epoch", "round", "kept")


def _write_events(log: TrainingHistory, out: str | Path, *, force: bool = False) -> Path:
    """Write a folder for ``tensorboard --logdir``, whole or not at all, one in it a network."""
    require("tensorboard", "The folder for TensorBoard")
    out = Path(out)
    with atomic_folder(out, force=force) as folder:
        for network in dict.fromkeys(r["network"] for r in [*log.epochs, *log.rounds]):
            _write_network(log, network, folder)
        # By this file a later --force knows that the folder may be replaced.
        mark = {"fewlabel_version": __version__, "kind": "tensorboard"}
        (folder / "metrics.json").write_text(json.dumps(mark) + "\n", encoding="utf-8")
    return out


def _write_network(log: TrainingHistory, network: str, folder: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    # TensorBoard names a curve after its folder; a slash would make several.
    place = folder / (re.sub(r"[^\w.-]+", "-", network).strip("-.") or "network")
    with SummaryWriter(log_dir=str(place)) as writer:
        for step, records in (("epoch", log.epochs), ("round", log.rounds)):
            for record in records:
                if record["network"] == network:
                    for name, value in _curves(record).items():
                        writer.add_scalar(f"{step}/{name}", value, int(record[step]))


def _curves(record: Mapping[str, Any]) -> dict[str, float]:
    """Give what can be drawn; a loss that is not a number stays one, which TensorBoard marks."""
    return {
        name: float(value)
        for name, value in record.items()
        if name not in _NO_CURVES and isinstance(value, numbers.Real)
    }
