"""What may happen between the epochs of a training: validation, and checkpoints."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from fewlabel.errors import ModelFormatError
from fewlabel.nets.batches import TrainingSet
from fewlabel.nets.checkpoint import (
    _load_checkpoint,
    _optimizer_tensors,
    _restore_optimizer,
    _save_checkpoint,
)

if TYPE_CHECKING:
    from fewlabel.nets.loop import Trainer


@dataclass(frozen=True, eq=False)
class _Validation:
    """Labeled rows that are not trained on."""

    inputs: Tensor  # (v, ...), rows or images
    y: np.ndarray  # (v,) or (v, K), their labels
    score: Callable[[np.ndarray, np.ndarray], float]  # of y and logits; more is better


class _Callback:
    """What a trainer calls; a subclass overrides what it needs."""

    def on_train_begin(self, trainer: Trainer, data: TrainingSet) -> None:
        pass

    def on_epoch_end(self, trainer: Trainer, record: dict[str, Any]) -> None:
        pass

    def on_train_end(self, trainer: Trainer) -> None:
        pass


class _BestWeights(_Callback):
    """Keep the averaged weights of the epoch that scores best, and stop when nothing improves."""

    def __init__(self, validation: _Validation, patience: int | None) -> None:
        self.validation = validation
        self.patience = patience
        self.best: dict[str, Tensor] = {}
        self.score = -1.0
        self.epochs_since = 0

    def on_epoch_end(self, trainer: Trainer, record: dict[str, Any]) -> None:
        score = self.validation.score(self.validation.y, trainer.predict(self.validation.inputs))
        record["validation_accuracy"] = score
        if score > self.score:
            self.score, self.epochs_since = score, 0
            # Of the averaged weights, which are what predicts.
            state = trainer.average.module.state_dict()
            self.best = {name: tensor.clone() for name, tensor in state.items()}
        else:
            self.epochs_since += 1

    def on_train_end(self, trainer: Trainer) -> None:
        trainer.average.module.load_state_dict(self.best)

    @property
    def has_stopped(self) -> bool:
        return self.patience is not None and self.epochs_since >= self.patience


class _Checkpoints(_Callback):
    """Write the state of a training to a file now and then, and take it up when it begins."""

    def __init__(self, path: Path, best: _BestWeights | None) -> None:
        self.path = path
        self.best = best

    def on_train_begin(self, trainer: Trainer, data: TrainingSet) -> None:
        self._written = time.monotonic()
        self._fingerprint = self._identify(trainer, data)
        if self.path.exists():
            self._resume(trainer)

    def on_epoch_end(self, trainer: Trainer, record: dict[str, Any]) -> None:
        if time.monotonic() - self._written >= trainer.settings.checkpoint_seconds:
            self._save(trainer)
            self._written = time.monotonic()

    def on_train_end(self, trainer: Trainer) -> None:
        self.path.unlink(missing_ok=True)

    def _save(self, trainer: Trainer) -> None:
        parts = {
            "network": trainer.network.state_dict(),
            "average": trainer.average.module.state_dict(),
            "optimizer": _optimizer_tensors(trainer.optimizer),
            "extra": trainer.extra_state(),
            "best": {} if self.best is None else self.best.best,
        }
        tensors = {
            f"{part}.{name}": tensor
            for part, state in parts.items()
            for name, tensor in state.items()
        }
        meta = {
            "fingerprint": self._fingerprint,
            "n_averaged": int(trainer.average.n_averaged),
            "history": trainer.history,
        }
        if self.best is not None:
            meta["best"] = [self.best.score, self.best.epochs_since]
        _save_checkpoint(self.path, tensors, meta)

    def _resume(self, trainer: Trainer) -> None:
        try:
            tensors, meta = _load_checkpoint(self.path)
        except ModelFormatError:
            # A damaged checkpoint is worth no more than none.
            return
        # Of other data, settings or weights: training goes its own course.
        if meta.get("fingerprint") != self._fingerprint:
            return
        parts: dict[str, dict[str, Tensor]] = {
            part: {} for part in ("network", "average", "optimizer", "extra", "best")
        }
        for full, tensor in tensors.items():
            part, _, name = full.partition(".")
            parts[part][name] = tensor
        trainer.network.load_state_dict(parts["network"])
        trainer.average.module.load_state_dict(parts["average"])
        trainer.average.n_averaged.fill_(meta["n_averaged"])
        _restore_optimizer(trainer.optimizer, parts["optimizer"])
        trainer.load_extra_state(parts["extra"])
        trainer.history = list(meta["history"])
        if self.best is not None:
            self.best.best = {name: t.to(trainer.device) for name, t in parts["best"].items()}
            self.best.score, self.best.epochs_since = meta["best"]

    def _identify(self, trainer: Trainer, data: TrainingSet) -> str:
        """Return a fingerprint of all that the weights at the end depend on."""
        about: list[Any] = [trainer.network.spec.to_dict(), asdict(trainer.settings)]
        about += [data.digest(), type(trainer).__name__, trainer.device.type, *trainer.identity()]
        about += [
            [len(group["params"]), group["initial_lr"], group["weight_decay"]]
            for group in trainer.optimizer.param_groups
        ]
        state = hashlib.blake2b(digest_size=16)
        state.update(json.dumps(about, sort_keys=True, default=str).encode())
        # The weights that it starts from decide, too: they may come from another training.
        for tensor in trainer.network.state_dict().values():
            state.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
        if self.best is not None:
            state.update(np.ascontiguousarray(self.best.validation.y).data)
        return state.hexdigest()
