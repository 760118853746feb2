"""The main job on images as an estimator of scikit-learn."""

import os
import warnings
from dataclasses import KW_ONLY, dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from fewlabel.data import labels_of, load_images
from fewlabel.data.missing import _known_labels
from fewlabel.data.scores import LabelClassifier
from fewlabel.files import atomic_folder
from fewlabel.fit_settings import FitSettings
from fewlabel.model import Model
from fewlabel.params import check_parameters, choice, number
from fewlabel.persist.schema import _PLAIN, _check_fields, _listed
from fewlabel.pipeline import fit_images
from fewlabel.runs.model import _save_model, load_run

_ME = "FewLabelImageClassifier"


@dataclass(eq=False, repr=False)
class FewLabelImageClassifier(LabelClassifier, ClassifierMixin, BaseEstimator):
    """Learn to classify images from a few labels and many unlabeled ones.

    `fewlabel.fit_images` in the form of scikit-learn. Images are paths, a data frame with a column
    ``path``, an array, an image set, or a folder: whatever `fewlabel.load_images` takes.

    Parameters
    ----------
    features : str
        ``"auto"``, ``"patches"``, ``"pixels"`` or the timm name of a network.
    weights : str, Path or None
        A ``.safetensors`` file for the network.
    method : str
        How to learn, by the name of a candidate; ``"auto"`` keeps what predicts held-out labels
        best.
    time_budget : float or None
        Seconds to spend: other patch features are tried, and from five minutes on networks are
        trained as well. None does neither.
    device : {"auto", "cpu", "cuda", "mps"}
        Where a network runs.
    cache : bool
        Keep features on the disk, and take those of an earlier fit on the same images.
    random_state : int, RandomState or None
        Source of every random choice.

    Attributes
    ----------
    model_ : Model
        What predicts images.
    result_ : FitResult
        The honest estimate of accuracy (``result_.headline``), the candidates, warnings, and
        predictions of all images of the fit; for `fewlabel.save_run`. Not there after `load`.
    images_ : ImageSet
        The images of the fit. Not there after `load`.
    transduction_ : ndarray of shape (n,) or (n, K)
        Labels of the images of the fit: those given, else predicted. Not there after `load`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> X, few = X.reshape(-1, 8, 8), np.where(np.arange(len(y)) < 80, y, -1)
    >>> model = FewLabelImageClassifier(features="pixels", random_state=0).fit(X[:600], few[:600])
    >>> bool(model.score(X[600:], y[600:]) > 0.8)
    True
    """

    _: KW_ONLY
    features: str = "auto"
    weights: str | Path | None = None
    method: str = "auto"
    time_budget: float | None = None
    device: str = "auto"
    cache: bool = False
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints = {
        "features": [str],
        "weights": [str, os.PathLike, None],
        "method": [str],
        "time_budget": [number(0), None],
        "device": [choice(("auto", "cpu", "cuda", "mps"))],
        "cache": ["boolean"],
        "random_state": ["random_state"],
    }

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any = None, *, groups: Any = None) -> Self:
        """Learn from labeled and unlabeled images.

        Parameters
        ----------
        X : list of paths, data frame, ndarray, ImageSet or path
            Images, or the folder or file that holds them: see `fewlabel.load_images`.
        y : array-like of shape (n,) or (n, K), data frame or path, optional
            Labels, -1, None, NaN or blank where unlabeled; for several an image a table of 1, 0
            and -1, lists of texts, or texts such as ``"cat|dog"``. Or a label table, or its path.
            By default those that the images carry, such as a column ``label``.
        groups : array-like of shape (n,), optional
            What each image belongs to, such as a patient or a place, beside what a column
            ``group`` of the images says: images of one group are never both trained on and
            tested. None, NaN, -1 or blank for an image by itself.

        Returns
        -------
        FewLabelImageClassifier
            Itself.

        Raises
        ------
        UsageError
            If a parameter is out of range, or there is nothing to learn.
        DataError
            If images cannot be read.
        """
        check_parameters(self)
        seed = self.random_state
        if not isinstance(seed, Integral):
            seed = check_random_state(seed).randint(2**31 - 1)
        settings = FitSettings(
            method=self.method,
            features=self.features,
            weights=None if self.weights is None else os.fspath(self.weights),
            seed=int(seed),
            device=self.device,
            time_budget=self.time_budget,
            cache=self.cache,
        )
        self.images_ = load_images(X)
        labels, classes = labels_of(y, self.images_, _ME)
        if groups is not None:
            check_consistent_length(self.images_, groups)
            values, known = _known_labels(groups)
            names = np.full(len(known), "", object)
            names[known] = [str(value) for value in values.tolist()]
            labels = replace(labels, groups=tuple(names.tolist()))
        self.result_ = fit_images(self.images_, labels, settings)
        for text in self.result_.features.warnings:
            warnings.warn(text, UserWarning, stacklevel=2)
        self._set_model(self.result_.model, classes)
        self.transduction_ = self.task_.decode(self.result_.predicted, self.classes_)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict calibrated probabilities."""
        check_is_fitted(self, "model_")
        return self.model_.predict(X).proba

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the fraction of labeled images that are predicted right, in every known label."""
        check_is_fitted(self, "model_")
        images = load_images(X, scale=self.model_.scale)
        labels, _ = labels_of(y, images, _ME, task=self.task_, classes=self.classes_)
        rows = labels.labeled
        if not len(rows):
            return float("nan")
        proba = self.model_.predict(images.subset(rows)).proba
        weights = None if sample_weight is None else np.asarray(sample_weight)[rows]
        return float(np.average(self.task_.correct(labels.y[rows], proba), weights=weights))

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Save the model, whole or not at all, for `load` and ``fewlabel predict``.

        Parameters
        ----------
        folder : str or Path
            Folder to make.
        force : bool
            Replace an earlier model there.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        RunFolderError
            If it exists and ``force`` is false.
        """
        check_is_fitted(self, "result_", msg="Only a %(name)s that was fitted here can be saved.")
        with atomic_folder(folder, force=force) as temporary:
            _save_model(self.result_, self.images_, temporary / "model")
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load a model that was saved by `save` or by ``fewlabel fit``; nothing is executed.

        Parameters
        ----------
        folder : str or Path
            The folder.

        Returns
        -------
        FewLabelImageClassifier
            A classifier for ``predict``, ``predict_proba`` and ``score``.

        Raises
        ------
        RunFolderError
            If there is no model.
        ModelFormatError
            If it is damaged.
        """
        model, found = load_run(folder), cls()
        n = len(model.classes)
        _check_fields(model.meta, {"labels?": [_listed(_PLAIN, n, n)]}, "meta")
        found._set_model(model, np.array(model.meta.get("labels", model.classes)))
        return found

    def _set_model(self, model: Model, classes: np.ndarray) -> None:
        """Keep a model, and the classes as they were given."""
        self.model_, self.task_, self.classes_ = model, model.task, classes
        model.meta["labels"] = classes.tolist()
