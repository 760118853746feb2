"""A network with one output a label, for images that may have several labels."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils import Tags
from sklearn.utils.validation import _check_sample_weight, validate_data

from fewlabel.compute import as_generator, pick_device
from fewlabel.errors import UsageError
from fewlabel.nets.augment import Augmentation, augmentation_for
from fewlabel.nets.batches import TrainingSet
from fewlabel.nets.loop import Augment, Progress
from fewlabel.nets.multilabel_targets import (
    Structure,
    check_fits_structure,
    check_label_table,
    check_structure,
    exact_match_score,
    most_likely_labels,
    warn_of_useless_columns,
)
from fewlabel.nets.multilabel_trainer import LOSSES, MultiLabelTrainer
from fewlabel.nets.network import Network
from fewlabel.nets.predictor import NetworkPredictor, input_shape
from fewlabel.nets.settings import TrainSettings

_ME = "MultiLabelNetwork"
_LEAST_SHARE = 0.01


class MultiLabelNetwork(NetworkPredictor):
    """A neural network that says of every label whether an image has it.

    Its outputs are sigmoids; entries that are not known (-1) teach nothing. Where it is known
    that an image has exactly one label of a group, ``structure`` says so, and the outputs of
    the group become a soft-max.

    Parameters
    ----------
    architecture : {"cnn", "resnet", "wide-resnet", "pair", "mlp"} or str
        A plain convolutional network, a small residual one, a wide one, one that reads both
        halves of an image of two things (with ``options={"first": 10}``, the labels of the
        first kind, and ``structure``), or a fully connected one for rows. Or ``"timm/NAME"``,
        such as ``"timm/resnet50"``: any network of timm, with random weights; grey images are
        given three equal colours.
    options : dict, optional
        Settings of the architecture, such as ``{"dropout": 0.3}``.
    labels : sequence of str, optional
        Name of each label, for messages and ``classes_``; by default their numbers.
    structure : sequence of (start, stop), optional
        Groups of columns of which every image has exactly one label: ``((0, 10), (10, 36))`` is
        one digit and one letter.
    loss : {"bce", "asymmetric"}
        Binary cross-entropy, or the asymmetric loss (Ridnik et al. 2021), which finds rare
        labels but gives probabilities that are too high. Groups have a cross-entropy of theirs.
    n_epochs : int
        Passes over the rows.
    min_steps : int
        Steps to take at least: few rows are passed over more often.
    batch_size : int
        Most rows in a step.
    learning_rate : float
        Peak rate.
    weight_decay : float
        Pull of the weights towards 0.
    augment : {"none", "weak", "mild", "strong"}, Augmentation or callable, optional
        Random changes of the images in training, see `fewlabel.nets.augment`; by default none.
        `fewlabel.nets.ChangedHalves` changes both halves by themselves.
        A callable is given a batch (b, C, H, W) of numbers from 0 to 1 and a torch generator.
    flip : bool or "auto"
        Whether an ``augment`` given by name mirrors images; ``"auto"`` mirrors colour images and
        leaves grey ones, which may be digits or letters.
    warm_start : bool
        Go on from the weights of the last ``fit``, on inputs and labels that must be the same.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to train and predict.
    checkpoint : str or Path, optional
        File that training writes its state to, and goes on from after an interruption.
    progress : callable, optional
        Called as ``progress("train", steps_done, n_steps)``.
    random_state : int, RandomState or None
        Seed of weights, order, dropout and augmentation.

    Attributes
    ----------
    classes_ : ndarray of shape (L,)
        Name of each label.
    network_ : Network
        The trained network.
    history_ : list of dict
        Loss, learning rate and seconds of each epoch.
    n_features_in_ : int
        Number of features seen in ``fit``; for rows only.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> Y = np.column_stack([y >= 5, y % 2 == 1]).astype(int)  # large, odd
    >>> network = MultiLabelNetwork("mlp", options={"widths": (64,)}, random_state=0)
    >>> bool(network.fit(X[:1000], Y[:1000]).score(X[1000:], Y[1000:]) > 0.8)
    True
    """

    def __init__(
        self,
        architecture: str = "cnn",
        *,
        options: dict[str, Any] | None = None,
        labels: Any = None,
        structure: Structure | None = None,
        loss: str = "bce",
        n_epochs: int = 20,
        min_steps: int = 200,
        batch_size: int = 128,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        augment: str | Augmentation | Augment | None = None,
        flip: bool | str = "auto",
        warm_start: bool = False,
        device: str = "auto",
        checkpoint: str | Path | None = None,
        progress: Progress | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.architecture = architecture
        self.options = options
        self.labels = labels
        self.structure = structure
        self.loss = loss
        self.n_epochs = n_epochs
        self.min_steps = min_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.augment = augment
        self.flip = flip
        self.warm_start = warm_start
        self.device = device
        self.checkpoint = checkpoint
        self.progress = progress
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.classifier_tags.multi_class = False
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        tags.target_tags.two_d_labels = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MultiLabelNetwork:
        """Train on the rows of which a label is known.

        Parameters
        ----------
        X : array-like of shape (n, d), or (n, H, W) or (n, H, W, C)
            Rows of numbers, or uint8 images.
        y : array-like of shape (n, L)
            1 present, 0 absent, -1 not known. A row of zeros is an image with none of the
            labels.
        sample_weight : array-like of shape (n,), optional
            Weight of each row.

        Returns
        -------
        MultiLabelNetwork
            Itself.

        Raises
        ------
        UsageError
            If a parameter is out of range, nothing is known, or labels contradict
            ``structure``.
        TrainingError
            If the loss is no longer a number.

        Warns
        -----
        UserWarning
            If a label is always absent or never known; it is named.
        """
        X = self._check_inputs(X)
        table = check_label_table(y, len(X), _ME)
        known = table >= 0
        rows = np.flatnonzero(known.any(axis=1))
        if not len(rows):
            raise UsageError(f"{_ME} needs at least one row with a known label: all are -1.")
        self._check_parameters(table.shape[1])
        check_fits_structure(table, self.structure, _ME)
        warn_of_useless_columns(table, self.classes_.tolist(), _ME)
        weights = self._weights(sample_weight, X)
        return self._train(
            X[rows],
            np.where(known, table, 0)[rows],
            known[rows],
            None if weights is None else weights[rows],
        )

    def fit_soft(
        self,
        X: Any,
        targets: Any,
        mask: Any = None,
        sample_weight: Any = None,
        classes: Any = None,
    ) -> MultiLabelNetwork:
        """Train on probabilities of labels, such as those of another model.

        Parameters
        ----------
        X : array-like of shape (n, d), or (n, H, W) or (n, H, W, C)
            Rows of numbers, or uint8 images.
        targets : array-like of shape (n, L)
            Probability that each label is present.
        mask : array-like of shape (n, L), optional
            How far each target counts, from 0 (not at all) to 1; by default all do. It is never
            a target itself.
        sample_weight : array-like of shape (n,), optional
            Weight of each row.
        classes : array-like of shape (L,), optional
            Name of each label; by default ``labels``.

        Returns
        -------
        MultiLabelNetwork
            Itself.

        Raises
        ------
        UsageError
            If a parameter is out of range, or targets or mask do not lie between 0 and 1.
        TrainingError
            If the loss is no longer a number.
        """
        X = self._check_inputs(X)
        soft = _check_shares(targets, "targets", len(X))
        known = np.ones_like(soft) if mask is None else _check_shares(mask, "mask", len(X))
        if known.shape != soft.shape:
            raise UsageError(
                f"The 'mask' of {_ME} must be of the shape of the targets, {soft.shape}. "
                f"Got {known.shape} instead."
            )
        self._check_parameters(soft.shape[1])
        if classes is not None:
            self.classes_ = np.asarray(classes)
        return self._train(X, soft, known, self._weights(sample_weight, X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of every label.

        Parameters
        ----------
        X : array-like of shape (m, d), or (m, H, W) or (m, H, W, C)
            Rows or images.

        Returns
        -------
        ndarray of shape (m, L)
            Float64; those of a group of ``structure`` sum to 1, others stand by themselves.
        """
        logits = self._run(X, embed=False).astype(np.float64)
        # Written with tanh: no exponential overflows.
        proba = 0.5 * (1 + np.tanh(logits / 2))
        for start, stop in self.structure or ():
            group = logits[:, start:stop]
            share = np.exp(group - group.max(axis=1, keepdims=True))
            proba[:, start:stop] = share / share.sum(axis=1, keepdims=True)
        return proba

    def predict(self, X: Any) -> np.ndarray:
        """Predict which labels are present.

        Parameters
        ----------
        X : array-like of shape (m, d), or (m, H, W) or (m, H, W, C)
            Rows or images.

        Returns
        -------
        ndarray of shape (m, L), int64
            1 where the probability is at least one half, and for the likeliest label of a group
            of ``structure``; else 0.
        """
        return most_likely_labels(self.predict_proba(X), self.structure)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Give the share of rows of which every known label is predicted right.

        Parameters
        ----------
        X : array-like of shape (m, d), or (m, H, W) or (m, H, W, C)
            Rows or images.
        y : array-like of shape (m, L)
            1 present, 0 absent, -1 not known.
        sample_weight : array-like of shape (m,), optional
            Weight of each row.

        Returns
        -------
        float
            Exact match, from 0 to 1.
        """
        predicted = self.predict(X)
        table = check_label_table(y, len(predicted), _ME)
        return exact_match_score(table, predicted, sample_weight)

    def to_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Give what predicting needs, for `fewlabel.persist.save_bundle`.

        Returns
        -------
        arrays : dict of str to ndarray
            Weights and statistics.
        meta : dict
            The network's description, the labels and their structure, for JSON.
        """
        arrays, meta = super().to_state()
        groups = [[int(start), int(stop)] for start, stop in self.structure or ()]
        return arrays, meta | {"structure": groups}

    @classmethod
    def from_state(
        cls, arrays: dict[str, np.ndarray], meta: dict[str, Any], *, device: str = "auto"
    ) -> Self:
        """Rebuild a network that predicts as the saved one did.

        Parameters
        ----------
        arrays : dict of str to ndarray
            From `to_state`.
        meta : dict
            From `to_state`.
        device : {"auto", "cpu", "cuda", "mps"}
            Where to predict.

        Returns
        -------
        MultiLabelNetwork
            A network for ``predict`` and ``predict_proba``.

        Raises
        ------
        ModelFormatError
            If weights and description do not fit together.
        """
        model = super().from_state(arrays, meta, device=device)
        groups = check_structure(meta.get("structure"), len(model.classes_), _ME)
        model.structure = tuple(groups) if groups else None
        return model

    def _check_inputs(self, X: Any) -> Any:
        if isinstance(X, np.ndarray) and X.dtype == np.uint8 and X.ndim in (3, 4):
            return X
        return validate_data(self, X, dtype=np.float32)

    def _check_parameters(self, n_labels: int) -> None:
        if self.loss not in LOSSES:
            raise UsageError(
                f"The 'loss' parameter of {_ME} must be one of {', '.join(LOSSES)}. "
                f"Got {self.loss!r} instead."
            )
        check_structure(self.structure, n_labels, _ME)
        names = np.arange(n_labels) if self.labels is None else np.asarray(list(self.labels))
        if len(names) != n_labels:
            raise UsageError(
                f"The 'labels' parameter of {_ME} must name {n_labels} labels, one a column. "
                f"Got {len(names)} instead."
            )
        self.classes_ = names

    def _train(
        self, X: np.ndarray, targets: np.ndarray, known: np.ndarray, weights: np.ndarray | None
    ) -> MultiLabelNetwork:
        settings = TrainSettings(
            n_epochs=self.n_epochs,
            min_steps=self.min_steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            seed=int(as_generator(self.random_state).integers(2**31)),
        )
        settings.check(_ME)
        pairs = np.stack([targets, known], axis=1).astype(np.float32)
        trainer = MultiLabelTrainer(
            self._start(X, targets, known, settings.seed),
            settings,
            device=pick_device(self.device),
            augment=self._augmentation(X),
            progress=self.progress,
            checkpoint=self.checkpoint,
            entry_loss=self.loss,
            structure=self.structure or (),
        )
        self.network_ = trainer.fit(TrainingSet.of(X, pairs, weights))
        self.history_ = trainer.history
        return self

    def _start(self, X: np.ndarray, targets: np.ndarray, known: np.ndarray, seed: int) -> Network:
        if not (self.warm_start and hasattr(self, "network_")):
            network = self._build(X, seed)
            share = (targets * known).sum(axis=0) / np.maximum(known.sum(axis=0), 1e-6)
            share = np.clip(share, _LEAST_SHARE, 1 - _LEAST_SHARE)
            # Labels are rare: a network that starts at one half each spends its first steps on
            # learning that.
            offset = torch.from_numpy(np.log(share / (1 - share)).astype(np.float32))
            with torch.no_grad():
                network.head.bias.copy_(offset)
            return network
        spec = self.network_.spec
        if spec.input_shape != input_shape(X) or spec.n_outputs != targets.shape[1]:
            raise UsageError(
                f"{_ME} goes on from a network for inputs of shape {spec.input_shape} and "
                f"{spec.n_outputs} labels, but got {input_shape(X)} and {targets.shape[1]}: set "
                "warm_start=False to begin anew."
            )
        return copy.deepcopy(self.network_).requires_grad_(True)

    def _augmentation(self, X: np.ndarray) -> Augment | None:
        if callable(self.augment) and not isinstance(self.augment, Augmentation):
            return self.augment
        return augmentation_for(X, self.augment, self.flip, _ME)

    def _weights(self, sample_weight: Any, X: np.ndarray) -> np.ndarray | None:
        if sample_weight is None:
            return None
        return np.asarray(_check_sample_weight(sample_weight, X, dtype=np.float32))


def _check_shares(values: Any, name: str, n: int) -> np.ndarray:
    shares = np.asarray(values, dtype=np.float32)
    # Written so that NaN fails it.
    if shares.ndim != 2 or len(shares) != n or not ((shares >= 0) & (shares <= 1 + 1e-3)).all():
        raise UsageError(
            f"The '{name}' of {_ME} must be a table of shape ({n}, L) of numbers from 0 to 1. "
            f"Got an array of shape {shares.shape} instead, or values beyond."
        )
    return np.minimum(shares, 1)
