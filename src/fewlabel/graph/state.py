"""The classifier as arrays and JSON, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from fewlabel.errors import ModelFormatError
from fewlabel.graph.candidates import Predictor
from fewlabel.graph.classifier import FewLabelClassifier
from fewlabel.graph.graph_model import GraphModel
from fewlabel.graph.linear_model import LinearModel

_NEEDS = {
    "graph": (True, ()),
    "blend": (True, ("supervised",)),
    "student": (False, ("student",)),
    "supervised": (False, ("supervised",)),
}


def classifier_state(
    classifier: FewLabelClassifier, features: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Give what predicting needs, and nothing else.

    Parameters
    ----------
    classifier : FewLabelClassifier
        A fitted classifier whose classes are integers.
    features : ndarray of shape (n, d)
        The rows it was fitted on.

    Returns
    -------
    arrays : dict of str to ndarray
        Linear models, and for the graph its rows and their probabilities.
    meta : dict
        Method, classes and temperature, for JSON.
    """
    method = classifier.method_
    with_graph, linear = _NEEDS[method]
    predictor = classifier._predictor
    arrays: dict[str, np.ndarray] = {}
    for name in linear:
        arrays[f"{name}.coef"] = predictor.linear[name].coef
        arrays[f"{name}.intercept"] = predictor.linear[name].intercept
    if with_graph:
        assert predictor.probabilities is not None
        arrays["graph.rows"] = np.asarray(features, np.float32)
        arrays["graph.probabilities"] = predictor.probabilities.astype(np.float32)
    meta = {
        "method": method,
        "classes": [int(code) for code in classifier.classes_],
        "temperature": float(classifier.temperature_),
        "n_features": int(classifier.n_features_in_),
        "n_neighbors": int(classifier.n_neighbors),
        "seed": 0 if predictor.graph is None else predictor.graph.seed,
    }
    return arrays, meta


def classifier_from_state(
    arrays: dict[str, np.ndarray], meta: dict[str, Any]
) -> FewLabelClassifier:
    """Rebuild a classifier that predicts as the saved one did.

    Parameters
    ----------
    arrays : dict of str to ndarray
        From `classifier_state`.
    meta : dict
        From `classifier_state`.

    Returns
    -------
    FewLabelClassifier
        A classifier for ``predict`` and ``predict_proba``.

    Raises
    ------
    ModelFormatError
        If something is missing or does not fit together.
    """
    method = meta.get("method")
    if method not in _NEEDS:
        raise ModelFormatError(f"The saved method {method!r} is not known: upgrade fewlabel.")
    with_graph, linear = _NEEDS[method]
    try:
        models = {
            name: LinearModel(arrays[f"{name}.coef"], arrays[f"{name}.intercept"])
            for name in linear
        }
        rows = arrays["graph.rows"] if with_graph else None
        probabilities = arrays["graph.probabilities"] if with_graph else None
        classifier = FewLabelClassifier(method=method, n_neighbors=int(meta["n_neighbors"]))
        classifier.classes_ = np.array(meta["classes"], dtype=np.int64)
        classifier.temperature_ = float(meta["temperature"])
        classifier.n_features_in_ = int(meta["n_features"])
        seed = int(meta["seed"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFormatError(
            f"The saved classifier lacks {error}: the model is damaged; fit again, or copy it anew."
        ) from error
    _check_shapes(models, rows, probabilities, classifier)
    graph = None
    if rows is not None:
        graph = GraphModel.for_prediction(rows, classifier.n_neighbors, seed)
    classifier._predictor = Predictor(graph, probabilities, models)
    classifier.method_ = method
    return classifier


def _check_shapes(
    models: dict[str, LinearModel],
    rows: np.ndarray | None,
    probabilities: np.ndarray | None,
    classifier: FewLabelClassifier,
) -> None:
    d, n_classes = classifier.n_features_in_, len(classifier.classes_)
    fits = all(
        model.coef.shape == (d, n_classes) and model.intercept.shape == (n_classes,)
        for model in models.values()
    )
    if rows is not None and probabilities is not None:
        fits &= rows.ndim == 2 and rows.shape[1] == d
        fits &= probabilities.shape == (len(rows), n_classes)
    if not fits:
        raise ModelFormatError(
            "The shapes of the saved arrays do not fit together: the model is damaged; fit "
            "again, or copy it anew."
        )
