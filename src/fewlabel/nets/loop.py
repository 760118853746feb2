"""The training loop, as a ladder of small steps: fit → run_epoch → train_step → loss.

Every step may be replaced in a subclass. All that is random in an epoch follows from the seed
and the number of the epoch, so that a run resumed from a checkpoint ends as one that was never
interrupted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from fewlabel.errors import TrainingError
from fewlabel.nets.batches import Batch, TrainingSet, _epoch_rows, _n_batches, _to_network
from fewlabel.nets.callbacks import _BestWeights, _Callback, _Checkpoints, _Validation
from fewlabel.nets.ema import _MovingAverage
from fewlabel.nets.losses import Loss, _mean_loss, soft_cross_entropy
from fewlabel.nets.memory import _is_out_of_memory, _warn_halved
from fewlabel.nets.network import Network, _autocast, _place_network
from fewlabel.nets.settings import TrainSettings, _parameter_groups, _rate_factor

Progress = Callable[[str, int, int], None]
Augment = Callable[[Tensor, torch.Generator], Tensor]


class Trainer:
    """Train a network on soft or hard targets, by AdamW.

    A subclass may override `count_steps` and `batches` (what an epoch consists of), `loss`,
    `epoch_figures` (for the history), `extra_state` and `load_extra_state` (what else a
    checkpoint holds), and `identity` (what else distinguishes trainings).

    Parameters
    ----------
    network : Network
        Its weights are changed in place.
    settings : TrainSettings
        How to train.
    device : torch.device
        Where to train.
    loss : callable
        ``loss(logits, targets, known)`` gives one number a row, see `fewlabel.nets.losses`.
    groups : list of dict, optional
        Parameter groups of the optimizer with ``params``, ``lr`` and ``weight_decay``; by default
        all parameters that want a gradient, with weight decay on matrices and filters only.
    augment : callable, optional
        ``augment(inputs, generator)`` changes a batch before the network sees it.
    stage : str
        What ``progress`` is called with.
    progress : callable, optional
        Called as ``progress(stage, steps_done, n_steps)`` after every step.
    checkpoint : str or Path, optional
        File to write checkpoints to, and to go on from if it is there.
    about : sequence
        JSON types that distinguish this training from others, such as the name of its loss.

    Attributes
    ----------
    average : AveragedModel
        The averaged weights, which are what predicts, in its ``module``.
    history : list of dict
        ``epoch, loss, learning_rate, seconds`` and, with validation data,
        ``validation_accuracy`` of each epoch.
    """

    def __init__(
        self,
        network: Network,
        settings: TrainSettings,
        *,
        device: torch.device,
        loss: Loss = soft_cross_entropy,
        groups: list[dict[str, Any]] | None = None,
        augment: Augment | None = None,
        stage: str = "train",
        progress: Progress | None = None,
        checkpoint: str | Path | None = None,
        about: Sequence[Any] = (),
    ) -> None:
        self.network = _place_network(network, device)
        self.settings = settings
        self.device = device
        self.row_loss = loss
        self.augment = augment
        self.stage = stage
        self.progress = progress
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
        self.about = about
        groups = groups or _parameter_groups([list(network.parameters())], settings)
        # Fused, a step is one pass over weights and averages.
        self.optimizer = torch.optim.AdamW(groups, fused=device.type in ("cpu", "cuda"))
        self.average = _MovingAverage(network, 0.0)
        self.history: list[dict[str, Any]] = []
        self.generator = torch.Generator()
        self.n_parts = 1
        # Which worker this is, where several train one network.
        self.rank = 0

    def fit(self, data: TrainingSet, validation: _Validation | None = None) -> Network:
        """Train to the end, or until the validation score stops growing.

        Parameters
        ----------
        data : TrainingSet
            What to learn from.
        validation : _Validation, optional
            Rows that are not trained on. The weights of the epoch that is best on them are kept.

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
        n_epochs = self.settings._epochs(self.steps_per_epoch)
        self.n_steps = n_epochs * self.steps_per_epoch
        self.average.decay = self.settings._decay(self.n_steps)
        best = None if validation is None else _BestWeights(validation, self.settings.patience)
        callbacks: list[_Callback] = [] if best is None else [best]
        if self.checkpoint is not None:
            callbacks.append(_Checkpoints(self.checkpoint, best))
        for callback in callbacks:
            callback.on_train_begin(self, data)
        # Known from the settings alone, so that a resumed run falls in at the same rate.
        factor = _rate_factor(self.n_steps, self.settings.warmup)
        first = len(self.history)
        done = first * self.steps_per_epoch
        self.schedule = LambdaLR(self.optimizer, factor, last_epoch=done - 1)
        for epoch in range(first, n_epochs):
            if best is not None and best.has_stopped:
                break
            self.history.append(self.run_epoch(epoch, data))
            for callback in callbacks:
                callback.on_epoch_end(self, self.history[-1])
        for callback in callbacks:
            callback.on_train_end(self)
        network = self.average.module
        assert isinstance(network, Network)
        return network

    def count_steps(self, data: TrainingSet) -> int:
        """Return the number of steps of one epoch."""
        return _n_batches(len(data), self.settings.batch_size)

    def run_epoch(self, epoch: int, data: TrainingSet) -> dict[str, Any]:
        """Pass over the data once, and return what goes into the history."""
        start = time.perf_counter()
        # Of the epoch alone: a checkpoint needs no state of a generator.
        seed = int(np.random.default_rng([self.settings.seed, epoch, 1]).integers(2**62))
        self.generator.manual_seed(seed)
        self.network.train()
        total = rate = 0.0
        devices = [self.device.index or 0] if self.device.type == "cuda" else []
        # Dropout draws from the global generator, which belongs to the caller.
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed + self.rank)
            for number, batch in enumerate(self.batches(epoch, data)):
                step = epoch * self.steps_per_epoch + number
                rate = self.optimizer.param_groups[0]["lr"]
                total += self.train_step(step, batch)
                if self.progress is not None:
                    self.progress(self.stage, step + 1, self.n_steps)
        loss = total / self.steps_per_epoch
        record = {"epoch": epoch, "loss": loss, "learning_rate": rate} | self.epoch_figures()
        return record | {"seconds": time.perf_counter() - start}

    def batches(self, epoch: int, data: TrainingSet) -> Iterator[Batch]:
        """Yield the batches of an epoch, in an order that the seed and the epoch alone decide."""
        seed = self.settings.seed
        for rows in _epoch_rows(len(data), self.settings.batch_size, seed, epoch):
            yield data.take(rows, self.device)

    def epoch_figures(self) -> dict[str, Any]:
        """Return what was measured in the epoch that ends, by name, as JSON types."""
        return {}

    def extra_state(self) -> dict[str, Tensor]:
        """Return the tensors that are carried from epoch to epoch beside the weights, by name."""
        return {}

    def load_extra_state(self, state: dict[str, Tensor]) -> None:
        """Take up what `extra_state` gave, from a checkpoint on the CPU."""

    def identity(self) -> list[Any]:
        """Return JSON types: a checkpoint of a training with other ones is not taken up."""
        augment: Any = self.augment
        if is_dataclass(augment) and not isinstance(augment, type):
            return [*self.about, asdict(augment)]
        return list(self.about)

    def train_step(self, step: int, batch: Batch) -> float:
        """Change the weights by one batch, and return its loss before the change."""
        value = self.backward(batch)
        # Before the weights are changed: what was saved stays good.
        if not np.isfinite(value):
            raise self._diverged(step, value)
        self.optimizer.step()
        self.schedule.step()
        self.average.update_parameters(self.network)
        return value

    def backward(self, batch: Batch) -> float:
        """Compute the gradient of a batch: at once, or in parts after memory ran out."""
        while True:
            # After memory ran out half of a gradient is there.
            self.optimizer.zero_grad(set_to_none=True)
            try:
                parts = batch.split(max(1, min(self.n_parts, len(batch) // 2)))
                return sum(self._backward_part(part, len(part) / len(batch)) for part in parts)
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                self._use_smaller_parts(len(batch), error)

    def loss(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch, a scalar."""
        inputs = batch.inputs
        if self.augment is not None:
            inputs = self.augment(inputs, self.generator)
        rows = self.row_loss(self.network(inputs), batch.targets, batch.known)
        return _mean_loss(rows, batch.weights)

    def predict(self, inputs: Tensor) -> np.ndarray:
        """Return the averaged network's logits of rows or images."""
        return predict_logits(self.average.module, inputs, self.device)

    def _backward_part(self, part: Batch, fraction: float) -> float:
        with _autocast(self.device):
            loss = self.loss(part) * fraction
        loss.backward()
        return float(loss.detach())

    def _use_smaller_parts(self, n_rows: int, error: BaseException) -> None:
        # Batch normalization needs two rows.
        if n_rows < 4 * self.n_parts:
            raise TrainingError(
                f"Memory ran out with {-(-n_rows // self.n_parts)} rows at once: choose a smaller "
                "network or smaller images, or another device."
            ) from error
        self.n_parts *= 2
        _warn_halved(-(-n_rows // self.n_parts), self.device)

    def _diverged(self, step: int, value: float) -> TrainingError:
        kept = ""
        if self.checkpoint is not None and self.checkpoint.exists():
            kept = f" The last good checkpoint is kept: {self.checkpoint}."
        return TrainingError(
            f"The loss became {value} at step {step + 1} of {self.n_steps}: lower the learning "
            f"rate (now {self.settings.learning_rate}).{kept}"
        )


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
        From `fewlabel.nets.batches._as_inputs`.
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
            with _autocast(device):
                part = run(_to_network(rows, device))
            out.append(part.float().cpu().numpy())
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error) or len(rows) == 1:
                raise
            # The rows stay in order: the next turn begins where this one did.
            batch_size = -(-len(rows) // 2)
            _warn_halved(batch_size, device)
            continue
        start += len(rows)
    return np.concatenate(out)
