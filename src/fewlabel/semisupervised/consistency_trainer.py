"""The training step in which strongly changed images learn from weakly changed ones."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fewlabel.nets.augment import Augmentation
from fewlabel.nets.batches import Batch, TrainingSet
from fewlabel.nets.loop import Trainer
from fewlabel.nets.losses import _mean_loss, _smooth_targets, soft_cross_entropy
from fewlabel.semisupervised.consistency_rules import (
    _Alignment,
    _fairness_loss,
    _make_rule,
    _sharpen,
)
from fewlabel.semisupervised.history import _PseudoLabelCallback


@dataclass(frozen=True)
class _ConsistencySettings:
    """Settings of consistency training beside those of any training."""

    method: str = "softmatch"
    mu: int = 4
    lambda_u: float = 1.0
    threshold: float = 0.95
    temperature: float = 0.0
    alignment: str = "uniform"
    fairness: float = 0.0
    teacher: str = "ema"
    propagated_fraction: float = 0.5
    label_smoothing: float = 0.0


@dataclass(frozen=True)
class _ConsistencyBatch(Batch):
    """Labeled images, and unlabeled ones beside them."""

    unlabeled: Batch
    rows: Tensor


class _RowStream:
    """An endless sequence of shuffled passes over some rows; any stretch of it can be taken."""

    def __init__(self, n: int, seed: int, kind: int) -> None:
        self.n, self.seed, self.kind = n, seed, kind
        self._passes: dict[int, np.ndarray] = {}

    def take(self, start: int, count: int) -> Tensor:
        """Take a stretch."""
        places = np.arange(start, start + count)
        passes, within = np.divmod(places, self.n)
        # Only the passes that this stretch is in are kept.
        self._passes = {int(number): self._order(int(number)) for number in np.unique(passes)}
        rows = [order[within[passes == number]] for number, order in self._passes.items()]
        return torch.from_numpy(np.concatenate(rows))

    def _order(self, number: int) -> np.ndarray:
        if number in self._passes:
            return self._passes[number]
        return np.random.default_rng([self.seed, self.kind, number]).permutation(self.n)


class _ConsistencyTrainer(Trainer):
    """Train a network to label a strongly changed image as the same image weakly changed."""

    def __init__(
        self,
        network: Any,
        *args: Any,
        unlabeled: TrainingSet,
        weak: Augmentation,
        strong: Augmentation,
        consistency: _ConsistencySettings,
        class_shares: Tensor,
        steps_per_epoch: int,
        observer: _PseudoLabelCallback | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, *args, augment=weak, stage="consistency", **kwargs)
        self.unlabeled = unlabeled
        self.weak, self.strong = weak, strong
        self.consistency = consistency
        self.steps_per_epoch = steps_per_epoch
        self.observer = observer
        # Asked once: a mean over zeros in every step would cost time.
        self.has_propagated = bool((unlabeled.targets != 0).any())
        self.step = 0
        n_classes = len(class_shares)
        # Running means forget as fast as the averaged weights do.
        momentum = min(self.settings._decay(self.settings.n_epochs * steps_per_epoch), 0.999)
        self.rule = _make_rule(
            consistency.method,
            n_classes,
            threshold=consistency.threshold,
            momentum=momentum,
            n_unlabeled=len(unlabeled),
            device=self.device,
        )
        self.alignment = _Alignment(class_shares.to(self.device), momentum)
        self.sums: dict[str, Tensor] = {}
        self.n_summed = 0

    def count_steps(self, data: TrainingSet) -> int:
        """Give the steps of an epoch, which do not depend on the data."""
        return self.steps_per_epoch

    def batches(self, epoch: int, data: TrainingSet) -> Iterator[Batch]:
        """Give the batches of an epoch; passes over the images go on from epoch to epoch."""
        n = self.settings.batch_size
        labeled = _RowStream(len(data), self.settings.seed, kind=1)
        unlabeled = _RowStream(len(self.unlabeled), self.settings.seed, kind=2)
        m = n * self.consistency.mu
        for step in range(epoch * self.steps_per_epoch, (epoch + 1) * self.steps_per_epoch):
            batch = data.take(labeled.take(step * n, n), self.device)
            rows = unlabeled.take(step * m, m)
            beside = self.unlabeled.take(rows, self.device)
            yield _ConsistencyBatch(
                batch.inputs, batch.targets, batch.weights, None, beside, rows.to(self.device)
            )

    def train_step(self, step: int, batch: Batch) -> float:
        """Change the weights by one batch."""
        self.step = step
        return super().train_step(step, batch)

    def loss(self, batch: Batch) -> Tensor:
        """Compute the loss of labeled and unlabeled images."""
        assert isinstance(batch, _ConsistencyBatch)
        n, settings = len(batch), self.consistency
        weak = self.weak(torch.cat([batch.inputs, batch.unlabeled.inputs]), self.generator)
        pseudo_labels, weights = self.pseudo_labels(weak[n:], batch.rows)
        strong = self.strong(batch.unlabeled.inputs, self.generator)
        # One pass for labeled and unlabeled images is faster than two.
        logits = self.network(torch.cat([weak[:n], strong]))
        targets = _smooth_targets(batch.targets, settings.label_smoothing)
        labeled = _mean_loss(soft_cross_entropy(logits[:n], targets), batch.weights)
        targets = weights[:, None] * pseudo_labels
        if self.has_propagated:
            # Cross-entropy is linear in the targets, so that both sources need one term only.
            targets = torch.lerp(targets, batch.unlabeled.targets, self.propagated_weight())
        unlabeled = soft_cross_entropy(logits[n:], targets).mean()
        self._sum(labeled, unlabeled, weights)
        loss = labeled + settings.lambda_u * unlabeled
        if settings.fairness:
            means, counts = (self.rule.state[name] for name in ("class_means", "class_counts"))
            fair = _fairness_loss(logits[n:], weights > 0, means, counts)
            loss = loss + settings.fairness * fair
        return loss

    @torch.no_grad()
    def pseudo_labels(self, weak: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Give the teacher's labels of weakly changed images, and how much each counts."""
        teacher = self.network if self.consistency.teacher == "live" else self.average.module
        was_training = teacher.training
        predicted = torch.softmax(teacher.eval()(weak).float(), dim=1)
        teacher.train(was_training)
        # Autocast keeps the reduced weights of this pass, and those know no gradient.
        torch.clear_autocast_cache()
        aligned = predicted
        if self.consistency.alignment != "none":
            aligned = self.alignment(predicted)
        weights = self.rule.weigh(aligned, rows)
        # SoftMatch aligns what decides the weight, and leaves the label as it was predicted.
        label = predicted if self.consistency.method == "softmatch" else aligned
        if self.observer is not None:
            codes = label.argmax(dim=1)
            self.observer.on_pseudo_labels(*(t.cpu().numpy() for t in (rows, codes, weights)))
        return _sharpen(label, self.consistency.temperature), weights

    def propagated_weight(self) -> float:
        """Give the part that propagated labels still have beside pseudo-labels."""
        end = self.consistency.propagated_fraction * self.n_steps
        return max(0.0, 1 - self.step / end) if end > 0 else 0.0

    def epoch_figures(self) -> dict[str, Any]:
        """Give the losses, the share accepted and the mean threshold of the epoch."""
        figures = {name: float(total) / self.n_summed for name, total in self.sums.items()}
        self.sums, self.n_summed = {}, 0
        if self.observer is not None:
            figures |= self.observer.on_epoch_end()
        return figures

    def extra_state(self) -> dict[str, Tensor]:
        """Give what the rule and the alignment remember."""
        remembered = {f"rule.{name}": tensor for name, tensor in self.rule.state.items()}
        return remembered | {"alignment": self.alignment.running}

    def load_extra_state(self, state: dict[str, Tensor]) -> None:
        """Take up what was remembered when the checkpoint was written."""
        named = {name.removeprefix("rule."): tensor for name, tensor in state.items()}
        self.alignment.running = named.pop("alignment").to(self.device)
        self.rule.load(named, self.device)

    def identity(self) -> list[Any]:
        """Say what makes this training another one."""
        own = [asdict(self.consistency), asdict(self.strong), self.alignment.target.tolist()]
        return [*super().identity(), *own, self.steps_per_epoch, self.unlabeled.digest()]

    @torch.no_grad()
    def _sum(self, labeled: Tensor, unlabeled: Tensor, weights: Tensor) -> None:
        figures = {
            "labeled_loss": labeled,
            "unlabeled_loss": unlabeled,
            "accepted": weights.mean(),
            "threshold": self.rule.level,
        }
        # Summed where they are: reading each would wait for the device.
        for name, figure in figures.items():
            self.sums[name] = figure.detach() + self.sums.get(name, 0.0)
        self.n_summed += 1
