"""A network as a scikit-learn classifier: arrays in, arrays out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from fewlabel.compute import as_generator, pick_device
from fewlabel.data.targets import check_soft_targets, encode_labels, one_hot
from fewlabel.errors import UsageError
from fewlabel.nets.architectures import Network, NetworkSpec, build_network
from fewlabel.nets.batches import TrainingSet, as_inputs
from fewlabel.nets.loop import Progress, Trainer, Validation, predict_logits
from fewlabel.nets.settings import TrainSettings
from fewlabel.nets.state import network_from_state, network_to_state
from fewlabel.nets.timm_network import PREFIX

_SMALLEST_SCALE = 1e-6


class NetworkClassifier(ClassifierMixin, BaseEstimator):
    """A neural network trained on labelled rows or images.

    AdamW with a cosine schedule; the averaged weights predict. In bfloat16 where the processor
    gains from it.

    Parameters
    ----------
    architecture : {"mlp", "cnn", "resnet", "wide-resnet"} or str
        A fully connected network of seven layers, for rows and images; a plain convolutional
        one; a small residual one; a wide one. Or ``"timm/NAME"``: any network of timm, with
        random weights (for pretrained ones see `fewlabel.nets.FineTuning`).
    options : dict, optional
        Settings of the architecture, such as ``{"dropout": 0.3}``.
    n_epochs : int
        Passes over the labelled rows.
    min_steps : int
        Steps to take at least: few rows are passed over more often.
    batch_size : int
        Most rows in a step.
    learning_rate : float
        Peak rate.
    weight_decay : float
        Pull of the weights towards 0.
    label_smoothing : float
        Share of the uniform distribution in every target.
    early_stopping : bool
        Hold out a share of the labelled rows, keep the weights of the epoch that does best on
        them, and stop when ``patience`` epochs bring nothing better.
    validation_fraction : float
        That share.
    patience : int
        Epochs to wait.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to train and predict.
    checkpoint : str or Path, optional
        File that training writes its state to, and goes on from after an interruption.
    progress : callable, optional
        Called as ``progress("train", steps_done, n_steps)``.
    random_state : int, RandomState or None
        Seed of weights, order, dropout and the held-out share.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes.
    network_ : Network
        The trained network.
    history_ : list of dict
        Loss, learning rate, seconds and perhaps validation accuracy of each epoch.
    n_features_in_ : int
        Number of features seen in ``fit``; for rows only.

    Notes
    -----
    With six hidden layers, batch normalisation and dropout the default is the network of seven
    layers of the published study that clusters Fashion-MNIST before training.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> network = NetworkClassifier(n_epochs=10, random_state=0).fit(X[:1000], y[:1000])
    >>> bool(network.score(X[1000:], y[1000:]) > 0.85)
    True
    """

    def __init__(
        self,
        architecture: str = "mlp",
        *,
        options: dict[str, Any] | None = None,
        n_epochs: int = 20,
        min_steps: int = 200,
        batch_size: int = 128,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        label_smoothing: float = 0.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 5,
        device: str = "auto",
        checkpoint: str | Path | None = None,
        progress: Progress | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.architecture = architecture
        self.options = options
        self.n_epochs = n_epochs
        self.min_steps = min_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.device = device
        self.checkpoint = checkpoint
        self.progress = progress
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation: tuple[Any, Any] | None = None,
    ) -> NetworkClassifier:
        """Train on the labelled rows.

        Parameters
        ----------
        X : array-like of shape (n, d), or (n, H, W) or (n, H, W, C)
            Rows of numbers, or uint8 images.
        y : array-like of shape (n,)
            Labels; rows with -1 are left out.
        sample_weight : array-like of shape (n,), optional
            Weight of each row.
        validation : tuple of (X, y), optional
            Labelled rows to stop early on; without them ``early_stopping`` holds some out.

        Returns
        -------
        NetworkClassifier
            Itself.

        Raises
        ------
        UsageError
            If a parameter is out of range.
        TrainingError
            If the loss is no longer a number.
        """
        rng = as_generator(self.random_state)
        settings = self._settings(int(rng.integers(2**31)), stops=validation is not None)
        X, y = self._validate(X, y, reset=True)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float32)
        self.classes_, codes = encode_labels(y, "NetworkClassifier")
        train, held_out = np.flatnonzero(codes >= 0), self._held_out(X, codes, validation, rng)
        if held_out is None and self.early_stopping:
            train, tested = _hold_out(codes, self.validation_fraction, rng)
            held_out = as_inputs(X[tested]), codes[tested]
        targets = one_hot(codes[train], len(self.classes_))
        weights = None if weights is None else weights[train]
        return self._train(X[train], targets, weights, settings, held_out)

    def fit_soft(
        self, X: Any, targets: Any, sample_weight: Any = None, classes: Any = None
    ) -> NetworkClassifier:
        """Train on class probabilities, such as those of another model.

        Parameters
        ----------
        X : array-like of shape (n, d), or (n, H, W) or (n, H, W, C)
            Rows of numbers, or uint8 images.
        targets : array-like of shape (n, K)
            Class probabilities.
        sample_weight : array-like of shape (n,), optional
            Weight of each row.
        classes : array-like of shape (K,), optional
            Class of each column; by default their numbers.

        Returns
        -------
        NetworkClassifier
            Itself.

        Raises
        ------
        UsageError
            If a parameter is out of range, or the targets are not probabilities.
        TrainingError
            If the loss is no longer a number.
        """
        seed = int(as_generator(self.random_state).integers(2**31))
        settings = self._settings(seed, stops=False)
        X = self._validate(X, reset=True)
        soft, self.classes_ = check_soft_targets(targets, classes, "NetworkClassifier")
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float32)
        return self._train(X, soft, weights, settings, None)

    def _train(
        self,
        X: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None,
        settings: TrainSettings,
        held_out: Validation | None,
    ) -> NetworkClassifier:
        data = TrainingSet.of(X, targets, weights)
        trainer = Trainer(
            self._build(X, settings.seed),
            settings,
            device=pick_device(self.device),
            progress=self.progress,
            checkpoint=self.checkpoint,
        )
        self.network_ = trainer.fit(data, held_out)
        self.history_ = trainer.history
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (m, d), or (m, H, W) or (m, H, W, C)
            Rows or images.

        Returns
        -------
        ndarray of shape (m, n_classes)
            Rows that sum to 1, float64.
        """
        logits = self._run(X, embed=False).astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        proba = np.exp(logits)
        return proba / proba.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """Predict classes.

        Parameters
        ----------
        X : array-like of shape (m, d), or (m, H, W) or (m, H, W, C)
            Rows or images.

        Returns
        -------
        ndarray of shape (m,)
            Classes.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def embed(self, X: Any) -> np.ndarray:
        """Compute the features that the last layer sees.

        Parameters
        ----------
        X : array-like of shape (m, d), or (m, H, W) or (m, H, W, C)
            Rows or images.

        Returns
        -------
        ndarray of shape (m, width)
            Embeddings, float32.
        """
        return self._run(X, embed=True)

    def to_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Give what predicting needs, for `fewlabel.persist.save_bundle`.

        Returns
        -------
        arrays : dict of str to ndarray
            Weights and statistics.
        meta : dict
            The network's description and the classes, for JSON.
        """
        check_is_fitted(self, "network_")
        return network_to_state(self.network_, self.classes_)

    @classmethod
    def from_state(
        cls, arrays: dict[str, np.ndarray], meta: dict[str, Any], *, device: str = "auto"
    ) -> NetworkClassifier:
        """Rebuild a classifier that predicts as the saved one did.

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
        NetworkClassifier
            A classifier for ``predict`` and ``predict_proba``.

        Raises
        ------
        ModelFormatError
            If weights and description do not fit together.
        """
        network, classes = network_from_state(arrays, meta, pick_device(device))
        spec = network.spec
        model = cls(spec.name, options=dict(spec.options), device=device)
        model.network_, model.classes_ = network, classes
        if len(spec.input_shape) == 1:
            model.n_features_in_ = spec.input_shape[0]
        return model

    def _settings(self, seed: int, *, stops: bool) -> TrainSettings:
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
        settings.check("NetworkClassifier")
        if not 0 < self.validation_fraction < 1:
            raise UsageError(
                "The 'validation_fraction' parameter of NetworkClassifier must be a float in "
                f"(0, 1). Got {self.validation_fraction!r} instead."
            )
        return settings

    def _validate(self, X: Any, y: Any = "no_validation", *, reset: bool) -> Any:
        """Check rows and labels; images pass as they are."""
        is_images = isinstance(X, np.ndarray) and X.dtype == np.uint8 and X.ndim in (3, 4)
        if not is_images:
            return validate_data(self, X, y, dtype=np.float32, reset=reset)
        if isinstance(y, str):
            return X
        y = column_or_1d(y, warn=True)
        if len(y) != len(X):
            raise UsageError(
                f"NetworkClassifier needs one label an image. Got {len(y)} labels for "
                f"{len(X)} images instead."
            )
        return X, y

    def _held_out(
        self,
        X: np.ndarray,
        codes: np.ndarray,
        validation: tuple[Any, Any] | None,
        rng: np.random.Generator,
    ) -> Validation | None:
        if validation is None:
            return None
        rows, labels = self._validate(*validation, reset=False)
        position = {label: code for code, label in enumerate(self.classes_.tolist())}
        # A class that training never saw counts as wrong.
        known = np.array([position.get(label, -1) for label in np.asarray(labels).tolist()])
        return as_inputs(rows), known

    def _build(self, X: np.ndarray, seed: int) -> Network:
        """Build the network with seeded weights and the statistics of the training rows."""
        if X.ndim == 2:
            shape: tuple[int, ...] = (X.shape[1],)
        else:
            shape = (1 if X.ndim == 3 else X.shape[3], X.shape[1], X.shape[2])
        spec = NetworkSpec(self.architecture, shape, len(self.classes_), dict(self.options or {}))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build_network(spec)
        if self.architecture.startswith(PREFIX):
            # It comes with the normalisation of its configuration.
            return network
        mean, scale = _statistics(X)
        network.standardize.mean.copy_(torch.from_numpy(mean))
        network.standardize.scale.copy_(torch.from_numpy(scale))
        return network

    def _run(self, X: Any, *, embed: bool) -> np.ndarray:
        check_is_fitted(self, "network_")
        X = self._validate(X, reset=False)
        expected = self.network_.spec.input_shape
        got = X.shape[1:] if X.ndim == 2 else (*X.shape[3:], *X.shape[1:3])
        if X.ndim == 3:
            got = (1, *X.shape[1:3])
        if tuple(got) != tuple(expected):
            raise UsageError(
                f"NetworkClassifier was fitted on inputs of shape {tuple(expected)} and got "
                f"{tuple(got)}: give inputs of the same size."
            )
        device = next(self.network_.parameters()).device
        return predict_logits(self.network_, as_inputs(X), device, embed=embed)


def _statistics(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale of each feature, or of each channel of images from 0 to 1."""
    if X.ndim == 2:
        mean = X.mean(axis=0, dtype=np.float64)
        scale = X.std(axis=0, dtype=np.float64)
        # A feature that hardly varies beside the others is left at their scale.
        floor = max(float(np.sqrt(np.mean(scale**2))) * 0.1, _SMALLEST_SCALE)
        return mean.astype(np.float32), np.maximum(scale, floor).astype(np.float32)
    pixels = X.reshape(-1, 1 if X.ndim == 3 else X.shape[3]).astype(np.float32)
    mean = pixels.mean(axis=0, dtype=np.float64) / 255
    scale = np.maximum(pixels.std(axis=0, dtype=np.float64) / 255, 1 / 255)
    return mean.astype(np.float32)[:, None, None], scale.astype(np.float32)[:, None, None]


def _hold_out(
    codes: np.ndarray, fraction: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Split the labelled rows by class; every class keeps a row to train on."""
    train, tested = [], []
    for code in range(int(codes.max()) + 1):
        rows = rng.permutation(np.flatnonzero(codes == code))
        n = min(round(len(rows) * fraction), len(rows) - 1)
        tested.append(rows[:n])
        train.append(rows[n:])
    held = np.sort(np.concatenate(tested))
    if not len(held):
        raise UsageError(
            "Too few rows are labelled to hold some out: set early_stopping=False or label more."
        )
    return np.sort(np.concatenate(train)), held
