"""What every classifier made of a network does once it is trained: predict, embed, be saved."""

from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from fewlabel.compute import _pick_device
from fewlabel.data.scores import LabelClassifier
from fewlabel.data.task import TASKS, Task
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.nets.architectures import build_network
from fewlabel.nets.batches import _as_inputs, _input_shape
from fewlabel.nets.loop import predict_logits
from fewlabel.nets.network import Network, NetworkSpec
from fewlabel.nets.state import _network_from_state, _network_to_state
from fewlabel.nets.timm_network import _PREFIX
from fewlabel.persist.schema import Saved, State

_SMALLEST_SCALE = 1e-6


class TrainedNetwork(LabelClassifier, Saved, ClassifierMixin, BaseEstimator):
    """A classifier made of a network, for one label an image or several.

    A subclass sets ``classes_``, ``task_`` and ``network_`` in ``fit``. It takes ``architecture``,
    ``options`` and ``device``, or reads inputs and builds networks in its own manner.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        Classes, or names of the labels.
    network_ : Network
        The trained network, in evaluation mode.
    task_ : Task
        Whether an image has one label or several.
    """

    architecture: str
    options: dict[str, Any] | None
    device: str

    classes_: np.ndarray
    network_: Network
    task_: Task
    history_: list[dict[str, Any]]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict probabilities."""
        logits = self._run(X, embed=False)
        return self.task_.activate(logits)

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

    def to_state(self) -> State:
        """Return the network's weights and description, the classes and the task's name."""
        check_is_fitted(self, "network_")
        arrays, meta = _network_to_state(self.network_, self.classes_)
        return arrays, meta | {"task": self.task_.name}

    @classmethod
    def from_state(
        cls,
        arrays: dict[str, np.ndarray],
        meta: dict[str, Any],
        *,
        task: Task | None = None,
        device: str = "auto",
    ) -> Self:
        """Rebuild a classifier that predicts as the saved one did; or of a ``task`` of its own."""
        network, classes = _network_from_state(arrays, meta, _pick_device(device))
        model = cls(**cls._of(network.spec), device=device)
        model.network_, model.classes_ = network, classes
        model.task_ = _saved_task(meta.get("task"), task)
        if len(network.spec.input_shape) == 1:
            model.n_features_in_ = network.spec.input_shape[0]
        return model

    @classmethod
    def _of(cls, spec: NetworkSpec) -> dict[str, Any]:
        """Return the parameters that make such a network."""
        return {"architecture": spec.name, "options": dict(spec.options)}

    def _inputs(self, X: Any, *, reset: bool) -> Any:
        """Check rows; images pass as they are."""
        if isinstance(X, np.ndarray) and X.dtype == np.uint8 and X.ndim in (3, 4):
            return X
        return validate_data(self, X, dtype=np.float32, reset=reset)

    def _build(self, inputs: Any, seed: int) -> Network:
        """Build the network with seeded weights and the statistics of the training rows."""
        options = dict(self.options or {})
        spec = NetworkSpec(self.architecture, _input_shape(inputs), len(self.classes_), options)
        # torch draws weights from its global generator, which belongs to the caller.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build_network(spec)
        if self.architecture.startswith(_PREFIX):
            # It comes with the normalization of its configuration.
            return network
        mean, scale = _statistics(inputs)
        network.standardize.mean.copy_(torch.from_numpy(mean))
        network.standardize.scale.copy_(torch.from_numpy(scale))
        return network

    def _run(self, X: Any, *, embed: bool) -> np.ndarray:
        """Return the logits of inputs, or their embeddings."""
        check_is_fitted(self, "network_")
        inputs = self._inputs(X, reset=False)
        expected, got = tuple(self.network_.spec.input_shape), _input_shape(inputs)
        if got != expected:
            raise UsageError(
                f"{type(self).__name__} was fitted on inputs of shape {expected} and got {got}: "
                "give inputs of the same size."
            )
        device = next(self.network_.parameters()).device
        return predict_logits(self.network_, _as_inputs(inputs), device, embed=embed)


def _saved_task(name: Any, given: Task | None) -> Task:
    """Return the task of a saved network, which is the given one where a study has its own."""
    if given is not None and given.name == name:
        return given
    if name not in TASKS:
        raise ModelFormatError(
            f"The saved network does not fit its description (the task {name!r} is not known): "
            "save it again, or give its task."
        )
    return TASKS[name]


def _statistics(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale of each feature, or of each channel of images from 0 to 1."""
    if X.ndim == 2:
        mean = X.mean(axis=0, dtype=np.float64)
        scale = X.std(axis=0, dtype=np.float64)
        # A feature that hardly varies beside the others is left at their scale.
        floor = max(float(np.sqrt(np.mean(scale**2))) * 0.1, _SMALLEST_SCALE)
        return mean.astype(np.float32), np.maximum(scale, floor).astype(np.float32)
    pixels = X.reshape(-1, 1 if X.ndim == 3 else X.shape[3]).astype(np.float32)
    mean = pixels.mean(axis=0, dtype=np.float64) / 255
    # Of images of one gray the smallest step of a pixel is the scale.
    scale = np.maximum(pixels.std(axis=0, dtype=np.float64) / 255, 1 / 255)
    return mean.astype(np.float32)[:, None, None], scale.astype(np.float32)[:, None, None]
