"""The training loop, as a ladder of small steps: fit → run_epoch → train_step → loss.

Every step may be replaced in a subclass. All that is random in an epoch follows from the seed
and the number of the epoch, so that a run resumed from a checkpoint ends as one that was never
interrupted.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fewlabel.errors import ModelFormatError, TrainingError
from fewlabel.nets.architectures import Network
from fewlabel.nets.batches import Batch, TrainingSet, epoch_rows, n_batches, to_network
from fewlabel.nets.checkpoint import (
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from fewlabel.nets.ema import MovingAverage
from fewlabel.nets.losses import smooth_targets, soft_cross_entropy
from fewlabel.nets.memory import is_out_of_memory, warn_halved
from fewlabel.nets.precision import autocast, place_network
from fewlabel.nets.settings import TrainSettings, learning_rate_at

Progress = Callable[[str, int, int], None]
Augment = Callable[[Tensor, torch.Generator], Tensor]
Validation = tuple[Tensor, np.ndarray]


class Trainer:
    """Train a network on soft or hard targets.

    Parameters
    ----------
    network : Network
        Its weights are changed in place.
    settings : TrainSettings
        How to train.
    device : torch.device
        Where to train.
    augment : callable, optional
        ``augment(inputs, generator)`` changes a batch before the network sees it.
    progress : callable, optional
        Called as ``progress("train", steps_done, n_steps)`` after every step.
    checkpoint : str or Path, optional
        File to write checkpoints to, and to go on from if it is there.

    Attributes
    ----------
    average : MovingAverage
        The averaged weights, which are what predicts.
    history : list of dict
        ``epoch, loss, learning_rate, seconds`` and, with validation data,
        ``validation_accuracy`` of each epoch.
    """

    stage = "train"

    def __init__(
        self,
        network: Network,
        settings: TrainSettings,
        *,
        device: torch.device,
        augment: Augment | None = None,
        progress: Progress | None = None,
        checkpoint: str | Path | None = None,
    ) -> None:
        self.network = place_network(network, device)
        self.settings = settings
        self.device = device
        self.augment = augment
        self.progress = progress
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
        self.optimizer = self.make_optimizer()
        self.average = MovingAverage(network, 0.0)
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Tensor] = {}
        self.best_accuracy = -1.0
        self.epochs_since_best = 0
        self.generator = torch.Generator()
        self.n_parts = 1

    def make_optimizer(self) -> torch.optim.Optimizer:
        """Make the optimizer: AdamW, with weight decay on matrices and filters only.

        Returns
        -------
        torch.optim.Optimizer
            Over all parameters that want a gradient.
        """
        wanted = [p for p in self.network.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [p for p in wanted if p.ndim > 1]},
            {"params": [p for p in wanted if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(
            groups,
            lr=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
            fused=self.device.type in ("cpu", "cuda"),
        )

    def fit(self, data: TrainingSet, validation: Validation | None = None) -> Network:
        """Train to the end, or until validation accuracy stops growing.

        Parameters
        ----------
        data : TrainingSet
            What to learn from.
        validation : tuple of (Tensor, ndarray), optional
            Inputs and classes of labelled rows that are not trained on. The weights of the
            epoch that is most accurate on them are kept.

        Returns
        -------
        Network
            The averaged network, in evaluation mode.

        Raises
        ------
        TrainingError
            If the loss is no longer a number.
        """
        self.steps_per_epoch = self.count_steps(data)
        n_epochs = self.settings.epochs(self.steps_per_epoch)
        self.n_steps = n_epochs * self.steps_per_epoch
        self.average.decay = self.settings.decay(self.n_steps)
        fingerprint = "" if self.checkpoint is None else self._fingerprint(data, validation)
        first = self._resume(fingerprint)
        written = time.monotonic()
        for epoch in range(first, n_epochs):
            if self._has_stopped():
                break
            self.history.append(self.run_epoch(epoch, data, validation))
            due = time.monotonic() - written >= self.settings.checkpoint_seconds
            if self.checkpoint is not None and due:
                self._save(epoch + 1, fingerprint)
                written = time.monotonic()
        if self.best:
            self.average.network.load_state_dict(self.best)
        if self.checkpoint is not None:
            self.checkpoint.unlink(missing_ok=True)
        network = self.average.network
        assert isinstance(network, Network)
        return network

    def count_steps(self, data: TrainingSet) -> int:
        """Count the steps of one epoch.

        Parameters
        ----------
        data : TrainingSet
            What to learn from.

        Returns
        -------
        int
            Steps.
        """
        return n_batches(len(data), self.settings.batch_size)

    def run_epoch(
        self, epoch: int, data: TrainingSet, validation: Validation | None
    ) -> dict[str, Any]:
        """Pass over the data once.

        Parameters
        ----------
        epoch : int
            Number of the epoch, from 0.
        data : TrainingSet
            What to learn from.
        validation : tuple of (Tensor, ndarray) or None
            Labelled rows that are not trained on.

        Returns
        -------
        dict
            What goes into the history.
        """
        start = time.perf_counter()
        seed = int(np.random.default_rng([self.settings.seed, epoch, 1]).integers(2**62))
        self.generator.manual_seed(seed)
        self.network.train()
        total = 0.0
        # Dropout draws from the global generator, which belongs to the caller.
        with torch.random.fork_rng(devices=self._cuda_devices()):
            torch.manual_seed(seed)
            for number, batch in enumerate(self.batches(epoch, data)):
                step = epoch * self.steps_per_epoch + number
                total += self.train_step(step, batch)
                if self.progress is not None:
                    self.progress(self.stage, step + 1, self.n_steps)
        record: dict[str, Any] = {
            "epoch": epoch,
            "loss": total / self.steps_per_epoch,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
        } | self.epoch_figures()
        if validation is not None:
            record["validation_accuracy"] = self.validate(validation)
        return record | {"seconds": time.perf_counter() - start}

    def batches(self, epoch: int, data: TrainingSet) -> Iterator[Batch]:
        """Give the batches of an epoch, in an order that the seed and the epoch alone decide.

        Parameters
        ----------
        epoch : int
            Number of the epoch, from 0.
        data : TrainingSet
            What to learn from.

        Yields
        ------
        Batch
            As many as `count_steps` says.
        """
        seed = self.settings.seed
        for rows in epoch_rows(len(data), self.settings.batch_size, seed, epoch):
            yield data.take(rows, self.device)

    def epoch_figures(self) -> dict[str, Any]:
        """Give what a subclass measured in the epoch that ends, for the history.

        Returns
        -------
        dict
            Figures by name, as JSON types; here none.
        """
        return {}

    def extra_state(self) -> dict[str, Tensor]:
        """Give what a subclass carries from epoch to epoch beside the weights.

        Returns
        -------
        dict of str to Tensor
            Tensors by name; they stand in every checkpoint. Here none.
        """
        return {}

    def load_extra_state(self, state: dict[str, Tensor]) -> None:
        """Take up what `extra_state` gave.

        Parameters
        ----------
        state : dict of str to Tensor
            From a checkpoint, on the CPU.
        """

    def identity(self) -> list[Any]:
        """Say what makes this training another one, beside data, network and settings.

        Returns
        -------
        list
            JSON types; a checkpoint of a training with another list is not taken up.
        """
        augment: Any = self.augment
        if is_dataclass(augment) and not isinstance(augment, type):
            return [asdict(augment)]
        return []

    def train_step(self, step: int, batch: Batch) -> float:
        """Change the weights by one batch.

        Parameters
        ----------
        step : int
            Number of the step in the whole run, from 0.
        batch : Batch
            Rows on the device.

        Returns
        -------
        float
            Loss before the change.

        Raises
        ------
        TrainingError
            If the loss is no longer a number.
        """
        rate = learning_rate_at(step, self.n_steps, self.settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("rate_scale", 1.0)
        value = self.backward(batch)
        if not np.isfinite(value):
            raise self._diverged(step, value)
        self.optimizer.step()
        self.average.update(self.network)
        return value

    def backward(self, batch: Batch) -> float:
        """Compute the gradient of a batch: at once, or in parts after memory ran out.

        Parameters
        ----------
        batch : Batch
            Rows on the device.

        Returns
        -------
        float
            Loss.

        Raises
        ------
        TrainingError
            If memory does not suffice for the smallest part.
        """
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            try:
                parts = batch.split(max(1, min(self.n_parts, len(batch) // 2)))
                return sum(self._backward_part(part, len(part) / len(batch)) for part in parts)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._use_smaller_parts(len(batch), error)

    def _backward_part(self, part: Batch, share: float) -> float:
        with autocast(self.device):
            loss = self.loss(part) * share
        loss.backward()
        return float(loss.detach())

    def _use_smaller_parts(self, n_rows: int, error: BaseException) -> None:
        # Batch normalisation needs two rows.
        if n_rows < 4 * self.n_parts:
            raise TrainingError(
                f"Memory ran out with {-(-n_rows // self.n_parts)} rows at once: choose a smaller "
                "network or smaller images, or another device."
            ) from error
        self.n_parts *= 2
        warn_halved(-(-n_rows // self.n_parts), self.device)

    def loss(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch.

        Parameters
        ----------
        batch : Batch
            Rows on the device.

        Returns
        -------
        Tensor
            Scalar.
        """
        inputs = batch.inputs
        if self.augment is not None:
            inputs = self.augment(inputs, self.generator)
        targets = smooth_targets(batch.targets, self.settings.label_smoothing)
        return soft_cross_entropy(self.network(inputs), targets, batch.weights)

    def validate(self, validation: Validation) -> float:
        """Measure the averaged network, and keep its weights if they are the best so far.

        Parameters
        ----------
        validation : tuple of (Tensor, ndarray)
            Labelled rows that are not trained on.

        Returns
        -------
        float
            Share of right predictions.
        """
        inputs, classes = validation
        logits = predict_logits(self.average.network, inputs, self.device)
        reached = float(np.mean(logits.argmax(axis=1) == classes))
        if reached > self.best_accuracy:
            self.best_accuracy, self.epochs_since_best = reached, 0
            state = self.average.network.state_dict()
            self.best = {name: tensor.clone() for name, tensor in state.items()}
        else:
            self.epochs_since_best += 1
        return reached

    def _has_stopped(self) -> bool:
        patience = self.settings.patience
        return patience is not None and self.epochs_since_best >= patience

    def _cuda_devices(self) -> list[int]:
        return [self.device.index or 0] if self.device.type == "cuda" else []

    def _diverged(self, step: int, value: float) -> TrainingError:
        kept = ""
        if self.checkpoint is not None and self.checkpoint.exists():
            kept = f" The last good checkpoint is kept: {self.checkpoint}."
        return TrainingError(
            f"The loss became {value} at step {step + 1} of {self.n_steps}: lower the learning "
            f"rate (now {self.settings.learning_rate}).{kept}"
        )

    def _fingerprint(self, data: TrainingSet, validation: Validation | None) -> str:
        state = hashlib.blake2b(digest_size=16)
        about: list[Any] = [self.network.spec.to_dict(), asdict(self.settings), data.digest()]
        about += [type(self).__name__, self.device.type, *self.identity()]
        about += [
            [len(group["params"]), group.get("rate_scale", 1.0), group["weight_decay"]]
            for group in self.optimizer.param_groups
        ]
        state.update(json.dumps(about, sort_keys=True, default=str).encode())
        for tensor in self.network.state_dict().values():
            state.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
        if validation is not None:
            state.update(np.ascontiguousarray(validation[1]).data)
        return state.hexdigest()

    def _save(self, next_epoch: int, fingerprint: str) -> None:
        assert self.checkpoint is not None
        parts = {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "best": self.best,
            "extra": self.extra_state(),
        }
        tensors = {
            f"{part}.{name}": tensor
            for part, state in parts.items()
            for name, tensor in state.items()
        }
        meta = {
            "fingerprint": fingerprint,
            "next_epoch": next_epoch,
            "n_updates": self.average.n_updates,
            "best_accuracy": self.best_accuracy,
            "epochs_since_best": self.epochs_since_best,
            "history": self.history,
        }
        save_checkpoint(self.checkpoint, tensors | optimizer_tensors(self.optimizer), meta)

    def _resume(self, fingerprint: str) -> int:
        """Take up the checkpoint, if there is one of this very training; give the next epoch."""
        if self.checkpoint is None or not self.checkpoint.exists():
            return 0
        try:
            found = load_checkpoint(self.checkpoint)
        except ModelFormatError:
            # A damaged checkpoint is worth no more than none: train from the start.
            return 0
        if found.meta.get("fingerprint") != fingerprint:
            return 0
        parts: dict[str, dict[str, Tensor]] = {
            part: {} for part in ("network", "average", "best", "extra")
        }
        for full, tensor in found.tensors.items():
            part, _, name = full.partition(".")
            if part in parts:
                parts[part][name] = tensor
        self.network.load_state_dict(parts["network"])
        self.average.network.load_state_dict(parts["average"])
        self.best = {name: tensor.to(self.device) for name, tensor in parts["best"].items()}
        self.load_extra_state(parts["extra"])
        restore_optimizer(self.optimizer, found.tensors)
        self.average.n_updates = int(found.meta["n_updates"])
        self.best_accuracy = float(found.meta["best_accuracy"])
        self.epochs_since_best = int(found.meta["epochs_since_best"])
        self.history = list(found.meta["history"])
        return int(found.meta["next_epoch"])


@torch.inference_mode()
def predict_logits(
    network: torch.nn.Module,
    inputs: Tensor,
    device: torch.device,
    *,
    batch_size: int = 1_024,
    embed: bool = False,
) -> np.ndarray:
    """Run a network over rows or images in batches, without gradients.

    Parameters
    ----------
    network : Network
        In evaluation mode, on the device.
    inputs : Tensor of shape (n, d), or (n, H, W) or (n, H, W, C)
        From `fewlabel.nets.batches.as_inputs`.
    device : torch.device
        Where the network is.
    batch_size : int
        Rows at a time; fewer after memory ran out.
    embed : bool
        Give what the head sees in place of the logits.

    Returns
    -------
    ndarray of shape (n, K) or (n, width)
        Logits or embeddings, float32.
    """
    run: Any = network.embed if embed else network
    out: list[np.ndarray] = []
    start = 0
    while start < len(inputs):
        rows = inputs[start : start + batch_size]
        try:
            with autocast(device):
                part = run(to_network(rows, device))
            out.append(part.float().cpu().numpy())
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or len(rows) == 1:
                raise
            batch_size = -(-len(rows) // 2)
            warn_halved(batch_size, device)
            continue
        start += len(rows)
    return np.concatenate(out)
