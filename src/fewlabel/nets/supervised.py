"""How a classifier made of a network is trained on labels, or on the probabilities of another."""

import copy
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils import Tags
from sklearn.utils.validation import _check_sample_weight

from fewlabel.compute import _as_generator, _pick_device
from fewlabel.data.checks import _warn_of_unlearnable
from fewlabel.data.targets import _check_soft_targets
from fewlabel.data.task import SingleLabel, Task, task_of
from fewlabel.engine import current_engine
from fewlabel.errors import UsageError
from fewlabel.nets.augment import Augmentation, _augmentation_for
from fewlabel.nets.batches import TrainingSet, _as_inputs, _input_shape
from fewlabel.nets.callbacks import _Validation
from fewlabel.nets.loop import Augment, Progress, Trainer
from fewlabel.nets.losses import _loss_for
from fewlabel.nets.network import Network
from fewlabel.nets.settings import TrainSettings
from fewlabel.nets.trained_network import TrainedNetwork
from fewlabel.params import check_parameters


class SupervisedNetwork(TrainedNetwork):
    """A classifier that trains a network on labels, with the parameters of its subclasses.

    A subclass may read inputs (`_inputs`, `_subset`, `_pixels`), build networks (`_build`) and
    prepare them for training (`_is_solved`) in its own manner.
    """

    _parameter_constraints: dict[str, Any] = {}
    # Parameters that not every subclass takes have a default here.
    task: Task | None
    labels: Any
    loss: str | None = None
    n_epochs: int
    min_steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    label_smoothing: float
    augment: Any
    flip: bool | str
    early_stopping: bool = False
    validation_fraction: float
    patience: int | None = None
    warm_start: bool
    checkpoint: str | Path | None
    progress: Progress | None
    random_state: Any

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation: tuple[Any, Any] | None = None,
    ) -> Self:
        """Train on the rows of which a label is known.

        Parameters
        ----------
        X : array-like of shape (n, d), or (n, H, W) or (n, H, W, C), or ImageSet
            Rows of numbers, or uint8 images. `FineTuning` alone takes image sets, and reads no
            more of them than the labeled images.
        y : array-like of shape (n,) or (n, K)
            Classes; -1, None, NaN, pandas.NA or blank is unlabeled. Or, for several labels an
            image, a table: 1 present, 0 absent, -1 and the like unknown.
        sample_weight : array-like of shape (n,), optional
            Weight of each row.
        validation : tuple of (X, y), optional
            Labeled rows that are not trained on: the weights of the epoch that does best on them
            are kept.

        Returns
        -------
        SupervisedNetwork
            Itself.

        Raises
        ------
        UsageError
            If a parameter is out of range, or nothing is labeled.
        DataError
            If pretrained weights are damaged or belong to another model.
        DownloadError
            If they cannot be fetched.
        TrainingError
            If the loss is no longer a number, or memory does not suffice for two rows.

        Warns
        -----
        UserWarning
            If one of several labels is always absent or never known; it is named.
        """
        who, rng = type(self).__name__, _as_generator(self.random_state)
        settings = self._settings(int(rng.integers(2**31)), stops=validation is not None)
        inputs = self._inputs(X, reset=True)
        task = self.task or task_of(y, as_column=True)
        classes, codes = task.encode(y, len(inputs), who)
        self._learn_classes(task, classes if self.labels is None else self.labels, len(classes))
        _warn_of_unlearnable(task.unlearnable(codes, self.classes_.tolist()), who)
        weights = _weights(sample_weight, codes)
        train, held = task.labeled(codes), None
        if validation is not None:
            others = self._inputs(validation[0], reset=False)
            theirs = task.recode(validation[1], self.classes_, len(others), who)
            tested = task.labeled(theirs)
            held = self._subset(others, tested), theirs[tested]
        elif self.early_stopping:
            train, tested = _hold_out(task.stratify(codes), self.validation_fraction, rng)
            held = self._subset(inputs, tested), codes[tested]
        targets, known = task.evidence(codes[train], len(self.classes_))
        return self._train(
            self._subset(inputs, train),
            targets,
            # Where all is known, losses need no mask.
            None if known.all() else known,
            None if weights is None else weights[train],
            settings,
            held,
        )

    def fit_soft(
        self, X: Any, targets: Any, mask: Any = None, sample_weight: Any = None, classes: Any = None
    ) -> Self:
        """Train on probabilities, such as those of another model.

        Parameters
        ----------
        X : array-like of shape (n, d), or (n, H, W) or (n, H, W, C), or ImageSet
            Rows of numbers, or uint8 images.
        targets : array-like of shape (n, K)
            Class probabilities; or, where the parameter ``task`` is for several labels, the
            probability that each label is present.
        mask : array-like of shape (n, K), optional
            How far each target counts, from 0 (not at all) to 1; by default all do. It is never
            a target itself.
        sample_weight : array-like of shape (n,), optional
            Weight of each row.
        classes : array-like of shape (K,), optional
            Class of each column; by default ``labels``, or their numbers.

        Returns
        -------
        SupervisedNetwork
            Itself.

        Raises
        ------
        UsageError
            If a parameter is out of range, or targets or mask do not lie between 0 and 1.
        TrainingError
            If the loss is no longer a number.
        """
        who = type(self).__name__
        settings = self._settings(int(_as_generator(self.random_state).integers(2**31)))
        inputs = self._inputs(X, reset=True)
        classes = self.labels if classes is None else classes
        soft, classes = _check_soft_targets(targets, classes, who)
        if len(soft) != len(inputs):
            raise UsageError(
                f"{who} needs one row of targets an image. Got {len(inputs)} rows and "
                f"{len(soft)} targets instead."
            )
        known = None if mask is None else _check_mask(mask, soft.shape, who)
        self._learn_classes(self.task or SingleLabel(), classes, soft.shape[1])
        return self._train(inputs, soft, known, _weights(sample_weight, soft), settings, None)

    def _settings(self, seed: int, *, stops: bool = False) -> TrainSettings:
        """Return the settings of a training, after all parameters are checked."""
        settings = TrainSettings(
            n_epochs=self.n_epochs,
            min_steps=self.min_steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            label_smoothing=self.label_smoothing,
            patience=self.patience if stops or self.early_stopping else None,
            seed=seed,
        )
        settings._check(type(self).__name__)
        check_parameters(self)
        return settings

    def _learn_classes(self, task: Task, classes: Any, n: int) -> None:
        self.classes_ = classes if isinstance(classes, np.ndarray) else np.asarray(list(classes))
        if len(self.classes_) != n:
            raise UsageError(
                f"The 'labels' parameter of {type(self).__name__} must name {n} labels, one a "
                f"class or column. Got {len(self.classes_)} instead."
            )
        self.task_ = task

    def _train(
        self,
        inputs: Any,
        targets: np.ndarray,
        known: np.ndarray | None,
        weights: np.ndarray | None,
        settings: TrainSettings,
        held: tuple[Any, np.ndarray] | None,
    ) -> Self:
        """Train a network on targets of which it is known how far each counts."""
        # Offsets are set where training begins; later they hold what it has learned.
        fresh = not (self.warm_start and hasattr(self, "network_"))
        network = self._build(inputs, settings.seed) if fresh else self._former(inputs)
        bias = self.task_.head_bias(targets, known) if fresh else None
        if bias is not None:
            with torch.no_grad():
                network.head.bias.copy_(torch.from_numpy(bias))
        data = TrainingSet.of(self._pixels(inputs, network), targets, weights, known)
        validation = held and _Validation(
            _as_inputs(self._pixels(held[0], network)), held[1], partial(_accuracy_of, self.task_)
        )
        self.network_, self.history_ = network, []
        if self._is_solved(network, data, fresh=fresh):
            return self
        self.network_, self.history_ = self._fit_network(network, data, settings, validation)
        return self

    def _fit_network(
        self,
        network: Network,
        data: TrainingSet,
        settings: TrainSettings,
        validation: _Validation | None,
    ) -> tuple[Network, list[dict[str, Any]]]:
        """Return the trained network, and what was measured in each epoch."""
        trainer = self._trainer(network, data, settings)
        engine = current_engine()
        trained = engine and engine.train(trainer, data, validation)
        return trained or (trainer.fit(data, validation), trainer.history)

    def _is_solved(self, network: Network, data: TrainingSet, *, fresh: bool) -> bool:
        """Prepare a network for training; return whether nothing is left to train."""
        return False

    def _trainer(
        self, network: Network, data: TrainingSet, settings: TrainSettings, **more: Any
    ) -> Trainer:
        who, smoothing = type(self).__name__, settings.label_smoothing
        return Trainer(
            network,
            settings,
            device=_pick_device(self.device),
            loss=_loss_for(self.task_, self.loss, smoothing, who),
            augment=self._augmentation(network.spec.input_shape),
            progress=self.progress,
            checkpoint=self.checkpoint,
            about=[repr(self.task_), self.loss],
            **more,
        )

    def _augmentation(self, shape: tuple[int, ...]) -> Augment | None:
        if callable(self.augment) and not isinstance(self.augment, Augmentation):
            return self.augment
        return _augmentation_for(shape, self.augment, self.flip, type(self).__name__)

    def _former(self, inputs: Any) -> Network:
        """Return the network of the last fit, to go on from."""
        spec, shape = self.network_.spec, self._shape(inputs)
        if spec.input_shape != shape or spec.n_outputs != len(self.classes_):
            raise UsageError(
                f"{type(self).__name__} goes on from a network for inputs of shape "
                f"{spec.input_shape} and {spec.n_outputs} classes, but got {shape} and "
                f"{len(self.classes_)}: set warm_start=False to begin anew."
            )
        # A fit that fails leaves the last one as it is.
        return copy.deepcopy(self.network_).requires_grad_(True)

    def _shape(self, inputs: Any) -> tuple[int, ...]:
        """Return the shape of one input, as networks name it."""
        return _input_shape(inputs)

    def _subset(self, inputs: Any, rows: np.ndarray) -> Any:
        return inputs[rows]

    def _pixels(self, inputs: Any, network: Network) -> np.ndarray:
        """Return inputs as an array of the size that the network takes."""
        return np.asarray(inputs)


def _accuracy_of(task: Task, y: np.ndarray, logits: np.ndarray) -> float:
    return float(task.correct(y, task.activate(logits)).mean())


def _weights(sample_weight: Any, rows: np.ndarray) -> np.ndarray | None:
    if sample_weight is None:
        return None
    return np.asarray(_check_sample_weight(sample_weight, rows, dtype=np.float32))


def _check_mask(mask: Any, shape: tuple[int, ...], who: str) -> np.ndarray:
    known = np.asarray(mask, dtype=np.float32)
    # Written so that NaN fails it.
    if known.shape != shape or not ((known >= 0) & (known <= 1)).all():
        raise UsageError(
            f"The 'mask' of {who} must be a table of shape {shape} of numbers from 0 to 1. "
            f"Got an array of shape {known.shape} instead, or values beyond."
        )
    return known


def _hold_out(
    strata: np.ndarray, fraction: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Split the labeled rows by stratum; every stratum keeps a row to train on."""
    # By hand: scikit-learn's splits refuse a stratum of one row.
    train, tested = [], []
    for code in range(int(strata.max()) + 1):
        rows = rng.permutation(np.flatnonzero(strata == code))
        n = max(0, min(round(len(rows) * fraction), len(rows) - 1))
        tested.append(rows[:n])
        train.append(rows[n:])
    held = np.sort(np.concatenate(tested))
    if not len(held):
        raise UsageError(
            "Too few rows are labeled to hold some out: set early_stopping=False or label more."
        )
    return np.sort(np.concatenate(train)), held
