"""A network as a scikit-learn classifier, for one label a row or several: arrays in, arrays out."""

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.data.task import Task
from fewlabel.nets.augment import Augmentation
from fewlabel.nets.loop import Augment, Progress
from fewlabel.nets.supervised import SupervisedNetwork
from fewlabel.params import integer, number


@dataclass(eq=False, repr=False)
class NetworkClassifier(SupervisedNetwork):
    """A neural network trained on labeled rows or images.

    AdamW with a cosine schedule; the averaged weights predict. In bfloat16 where the processor
    gains from it. Where ``y`` is a table, an image may have several labels: each has a sigmoid of
    its own, and entries that are unknown (-1) teach nothing.

    Parameters
    ----------
    architecture : {"mlp", "cnn", "resnet", "wide-resnet"} or str
        A fully connected network of seven layers, for rows and images; a plain convolutional
        one; a small residual one; a wide one; a key that was added to
        `fewlabel.nets.ARCHITECTURES`. Or ``"timm/NAME"``: any network of timm, with random
        weights (for pretrained ones see `fewlabel.nets.FineTuning`).
    options : dict, optional
        Settings of the architecture, such as ``{"dropout": 0.3}``.
    task : Task, optional
        Whether a row has one label or several; by default the form of ``y`` decides.
    labels : sequence of str, optional
        Name of each column of a table ``y``, for messages and ``classes_``; by default their
        numbers.
    loss : str, optional
        ``"bce"`` or ``"asymmetric"`` for several labels: the latter (Ridnik et al. 2021) finds
        rare labels but gives probabilities that are too high. By default the task's first one.
    n_epochs : int
        Passes over the labeled rows.
    min_steps : int
        Steps to take at least: few rows are passed over more often.
    batch_size : int
        Most rows in a step.
    learning_rate : float
        Peak rate.
    weight_decay : float
        Pull of the weights towards 0.
    label_smoothing : float
        Part of the uniform distribution in every target.
    augment : {"none", "weak", "mild", "strong"}, Augmentation or callable, optional
        Random changes of the images in training, see `fewlabel.nets.augment`; by default none.
        A short training wants ``"mild"``. A callable is given a batch (b, C, H, W) of numbers from
        0 to 1 and a torch generator. For images alone.
    flip : bool or "auto"
        Whether an ``augment`` given by name mirrors images; ``"auto"`` mirrors color images and
        leaves gray ones, which may be digits or letters.
    early_stopping : bool
        Hold out a part of the labeled rows, keep the weights of the epoch that does best on
        them, and stop when ``patience`` epochs bring nothing better.
    validation_fraction : float
        That part.
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
        Seed of weights, order, dropout and the held-out part.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        Classes, or names of the labels.
    network_ : Network
        The trained network.
    task_ : Task
        Whether a row has one label or several.
    history_ : list of dict
        Loss, learning rate, seconds and perhaps validation accuracy of each epoch.
    n_features_in_ : int
        Number of features seen in ``fit``; for rows only.

    Notes
    -----
    With six hidden layers, batch normalization and dropout the default is the network of seven
    layers of the published study that clusters Fashion-MNIST before training.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> network = NetworkClassifier(n_epochs=10, random_state=0).fit(X[:1000], y[:1000])
    >>> bool(network.score(X[1000:], y[1000:]) > 0.85)
    True
    >>> Y = np.column_stack([y >= 5, y % 2 == 1]).astype(int)  # large, odd
    >>> network = NetworkClassifier(options={"widths": (64,)}, random_state=0)
    >>> bool(network.fit(X[:1000], Y[:1000]).score(X[1000:], Y[1000:]) > 0.8)
    True
    """

    architecture: str = "mlp"
    _: KW_ONLY
    options: dict[str, Any] | None = None
    task: Task | None = None
    labels: Any = None
    loss: str | None = None
    n_epochs: int = 20
    min_steps: int = 200
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.0
    augment: str | Augmentation | Augment | None = None
    flip: bool | str = "auto"
    early_stopping: bool = False
    validation_fraction: float = 0.1
    patience: int = 5
    warm_start: bool = False
    device: str = "auto"
    checkpoint: str | Path | None = None
    progress: Progress | None = None
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints = {
        "validation_fraction": [number(0, 1, closed="neither")],
        "patience": [integer(1)],
    }
