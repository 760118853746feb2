"""What every classifier made of a network does once it is trained: predict, embed, be saved."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from fewlabel.compute import pick_device
from fewlabel.errors import UsageError
from fewlabel.nets.architectures import Network, NetworkSpec, build_network
from fewlabel.nets.batches import as_inputs
from fewlabel.nets.loop import predict_logits
from fewlabel.nets.pair import check_kinds
from fewlabel.nets.state import network_from_state, network_to_state
from fewlabel.nets.timm_network import PREFIX

_SMALLEST_SCALE = 1e-6


class TrainedNetwork(ClassifierMixin, BaseEstimator):
    """What a classifier made of a network does, whatever it was trained on.

    A subclass sets ``classes_`` and ``network_`` in ``fit``, and says in ``_run`` how inputs are
    read.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes.
    network_ : Network
        The trained network, in evaluation mode.
    """

    classes_: np.ndarray
    network_: Network

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (m, d), or (m, H, W) or (m, H, W, C), or ImageSet
            Rows or images, as ``fit`` took them.

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
        X : array-like of shape (m, d), or (m, H, W) or (m, H, W, C), or ImageSet
            Rows or images, as ``fit`` took them.

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
        X : array-like of shape (m, d), or (m, H, W) or (m, H, W, C), or ImageSet
            Rows or images, as ``fit`` took them.

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

    def _run(self, X: Any, *, embed: bool) -> np.ndarray:
        """Give the logits of inputs, or their embeddings."""
        raise NotImplementedError


class NetworkPredictor(TrainedNetwork):
    """Predict by a network on rows or images of one size; what trains one from scratch derives.

    A subclass takes ``architecture``, ``options`` and ``device``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes.
    network_ : Network
        The trained network, in evaluation mode.
    """

    architecture: str
    options: dict[str, Any] | None

    @classmethod
    def from_state(
        cls, arrays: dict[str, np.ndarray], meta: dict[str, Any], *, device: str = "auto"
    ) -> Self:
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
        NetworkPredictor
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
                f"{type(self).__name__} needs one label an image. Got {len(y)} labels for "
                f"{len(X)} images instead."
            )
        return X, y

    def _build(self, X: np.ndarray, seed: int) -> Network:
        """Build the network with seeded weights and the statistics of the training rows."""
        options, n_classes = dict(self.options or {}), len(self.classes_)
        if self.architecture == "pair":
            structure = getattr(self, "structure", None)
            check_kinds(options, structure, n_classes, type(self).__name__)
        spec = NetworkSpec(self.architecture, input_shape(X), n_classes, options)
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
        expected, got = tuple(self.network_.spec.input_shape), input_shape(X)
        if got != expected:
            raise UsageError(
                f"{type(self).__name__} was fitted on inputs of shape {expected} and got {got}: "
                "give inputs of the same size."
            )
        device = next(self.network_.parameters()).device
        return predict_logits(self.network_, as_inputs(X), device, embed=embed)


def input_shape(X: np.ndarray) -> tuple[int, ...]:
    """Give the shape of one input as networks name it.

    Parameters
    ----------
    X : ndarray of shape (n, d), or (n, H, W) or (n, H, W, C)
        Rows or images.

    Returns
    -------
    tuple of int
        ``(d,)`` or ``(C, H, W)``.

    Examples
    --------
    >>> input_shape(np.zeros((5, 28, 28), np.uint8))
    (1, 28, 28)
    """
    if X.ndim == 2:
        return (X.shape[1],)
    return (1 if X.ndim == 3 else X.shape[3], X.shape[1], X.shape[2])


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
