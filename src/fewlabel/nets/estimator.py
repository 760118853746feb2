"""A network as a scikit-learn classifier: arrays in, arrays out."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight

from fewlabel.compute import as_generator, pick_device
from fewlabel.data.targets import check_soft_targets, encode_labels, one_hot
from fewlabel.errors import UsageError
from fewlabel.nets.augment import Augmentation, augmentation_for
from fewlabel.nets.batches import TrainingSet, as_inputs
from fewlabel.nets.loop import Progress, Trainer, Validation
from fewlabel.nets.network import Network
from fewlabel.nets.predictor import NetworkPredictor, input_shape
from fewlabel.nets.settings import TrainSettings


class NetworkClassifier(NetworkPredictor):
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
    augment : {"none", "weak", "mild", "strong"} or Augmentation, optional
        Random changes of the images in training, see `fewlabel.nets.augment`; by default none.
        A short training wants ``"mild"``. For images alone.
    flip : bool or "auto"
        Whether an ``augment`` given by name mirrors images; ``"auto"`` mirrors colour images and
        leaves grey ones, which may be digits or letters.
    early_stopping : bool
        Hold out a share of the labelled rows, keep the weights of the epoch that does best on
        them, and stop when ``patience`` epochs bring nothing better.
    validation_fraction : float
        That share.
    patience : int
        Epochs to wait.
    warm_start : bool
        Go on from the weights of the last ``fit``, on inputs and classes that must be the same.
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
        augment: str | Augmentation | None = None,
        flip: bool | str = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 5,
        warm_start: bool = False,
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
        self.augment = augment
        self.flip = flip
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.warm_start = warm_start
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
            self._start(X, settings.seed),
            settings,
            device=pick_device(self.device),
            augment=augmentation_for(X, self.augment, self.flip, "NetworkClassifier"),
            progress=self.progress,
            checkpoint=self.checkpoint,
        )
        self.network_ = trainer.fit(data, held_out)
        self.history_ = trainer.history
        return self

    def _start(self, X: np.ndarray, seed: int) -> Network:
        if not (self.warm_start and hasattr(self, "network_")):
            return self._build(X, seed)
        spec = self.network_.spec
        if spec.input_shape != input_shape(X) or spec.n_outputs != len(self.classes_):
            raise UsageError(
                f"NetworkClassifier goes on from a network for inputs of shape "
                f"{spec.input_shape} and {spec.n_outputs} classes, but got {input_shape(X)} and "
                f"{len(self.classes_)}: set warm_start=False to begin anew."
            )
        return copy.deepcopy(self.network_).requires_grad_(True)

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
