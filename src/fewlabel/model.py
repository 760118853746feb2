"""The model: what predicts images, for every command and for both tasks."""

import time
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

import fewlabel.semisupervised as _registers  # noqa: F401
from fewlabel.data import ImageSet, PixelScale, Task, load_images
from fewlabel.data.calibration import Calibration
from fewlabel.data.task import TASKS
from fewlabel.errors import FewLabelError, ModelFormatError, UsageError, _damaged
from fewlabel.evaluate import (
    PROMISES,
    AccuracyEstimate,
    Evidence,
    Fitted,
    accept_at,
    find_candidate,
)
from fewlabel.evaluate.drift import _Reference
from fewlabel.evaluate.estimates import _ESTIMATE_FIELDS
from fewlabel.evaluate.reliability import _saved_calibration
from fewlabel.evaluate.selective import _saved_evidence
from fewlabel.features.base import FeatureExtractor, _extractor_from_state
from fewlabel.features.pixels import Progress
from fewlabel.graph.inductive import _Inductive
from fewlabel.graph.novelty import _Novelty
from fewlabel.params import choice, integer, number
from fewlabel.persist.schema import (
    _NAME,
    _OBJECT,
    _WORD,
    Saved,
    State,
    _among,
    _check_fields,
    _check_finite,
    _Fields,
    _listed,
    _Rule,
)
from fewlabel.texts import _percent_text

_ENDS = _listed(number(-1e300, 1e300), 2, 2)
_RANGE = [
    _Rule(
        "two numbers, the lower one first",
        lambda r: _ENDS.is_satisfied_by(r) and float(r[0]) < float(r[1]),
    ),
    None,
]
_FIELDS: _Fields = {
    "task": [choice(TASKS)],
    "classes": [_listed(_NAME, distinct=True)],
    "method": [_WORD],
    "calibration": [_OBJECT],
    "features": [_OBJECT],
    "candidate": [_OBJECT],
    "trained_on?": [_listed(_NAME, 0)],
    "estimate?": [_ESTIMATE_FIELDS, None],
    # How pixel values were scaled: as models of this version and of the last one say it.
    "pixels?": [
        {"integer?": _RANGE, "large?": _RANGE, "float?": _RANGE, "ground?": [_among(range(256))]},
        None,
    ],
    "white_level?": [integer(1, 2**32), None],
    "novelty?": [_OBJECT],
    "reference?": [_OBJECT],
    "inductive?": [_OBJECT],
}
# The graph and what finds unlike images search the same rows.
_SHARED_ROWS = "candidate.graph.rows"


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model predicts for some images.

    Attributes
    ----------
    task : Task
        Whether an image has one label or may have several.
    proba : ndarray of shape (n, K)
        Calibrated probability of each class.
    classes : tuple of str
        Names of the classes.
    seconds : dict of str to float
        Time of each stage.
    threshold : float
        Least confidence of an image whose label is accepted; that of the others is left blank.
    unlike : ndarray of shape (n,), bool, or None
        Whether an image is unlike anything labeled; None where the model cannot tell.
    scores : ndarray of shape (n,) or None
        How unlike it is, larger where it is less like them.
    rows : ndarray of shape (n, d) or None
        Features of the images; None where they are not at hand.
    """

    task: Task
    proba: np.ndarray
    classes: tuple[str, ...]
    seconds: dict[str, float]
    threshold: float = 0.0
    unlike: np.ndarray | None = None
    scores: np.ndarray | None = None
    rows: np.ndarray | None = None

    @property
    def label(self) -> np.ndarray:
        """The most probable labels, in the form of `Labels.y`."""
        return self.task.predict(self.proba)

    @property
    def confidence(self) -> np.ndarray:
        """Probability that the labels of an image are right; shape (n,)."""
        return self.task.confidence(self.proba)

    @property
    def accepted(self) -> np.ndarray:
        """Whether an image is confident enough for its label to be accepted; shape (n,).

        Where there is a threshold, no image that is unlike anything labeled is accepted.
        """
        sure = np.asarray(self.confidence >= self.threshold)
        return sure if self.unlike is None or not self.threshold else sure & ~self.unlike

    @property
    def texts(self) -> list[str]:
        """The labels of each image, such as ``"cat"`` or ``"cat|dog"``; ``""`` if not accepted."""
        texts = zip(self.task.texts(self.label, self.classes), self.accepted, strict=True)
        return [text if accepted else "" for text, accepted in texts]

    def by_class(self) -> dict[str, dict[str, Any]]:
        """Count the accepted predictions of each class.

        Returns
        -------
        dict of str to dict
            ``n_images`` and ``mean_confidence`` of each class, None where it has no image.
        """
        named = self.task.decided(self.proba) & self.accepted[:, None]
        counts = {}
        for column, name in enumerate(self.classes):
            proba = self.proba[named[:, column], column]
            mean = float(proba.mean()) if len(proba) else None
            counts[name] = {"n_images": len(proba), "mean_confidence": mean}
        return counts


@dataclass(eq=False, repr=False)
class Model(Saved):
    """Extractor, fitted candidate, calibration and all classes: what predicts images.

    Parameters
    ----------
    task : Task
        Whether an image has one label or may have several.
    extractor : FeatureExtractor
        What turns images into rows.
    fitted : Fitted
        The candidate that turns rows into probabilities, which are not calibrated yet.
    calibration : Calibration
        Fitted on images that the classifier had not seen.
    classes : tuple of str
        Names of all classes.
    columns : sequence of int
        Position in ``classes`` of each column that the candidate predicts: a class that only
        the audit holds has none, and gets probability 0.
    meta : dict
        What is saved beside the model: the estimate, the scale of pixel values.
    evidence : Evidence
        What random labels say about its predictions: what can be promised rests on them.

    Attributes
    ----------
    novelty : object or None
        What finds images that are unlike anything labeled; None where too few labels are tested.
    reference : object or None
        What new images are compared with; None before the model is saved.
    inductive : object or None
        What predicts nearly as well without the graph; None where the candidate needs none.
    """

    task: Task
    extractor: FeatureExtractor
    fitted: Fitted
    calibration: Calibration
    classes: tuple[str, ...]
    columns: np.ndarray
    meta: dict[str, Any] = field(default_factory=dict)
    evidence: Evidence = field(default_factory=Evidence)
    novelty: _Novelty | None = field(default=None, init=False)
    reference: _Reference | None = field(default=None, init=False)
    inductive: _Inductive | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.columns = np.asarray(self.columns, dtype=np.int64)

    @property
    def scale(self) -> PixelScale:
        """Which pixel values of the training images were 0 and 255; for ``load_images``."""
        level = self.meta.get("white_level") or 255
        ends = {} if level == 255 else {"integer": [0, level], "large": [0, level]}
        return PixelScale._from_dict(self.meta.get("pixels") or ends)

    @property
    def expected(self) -> AccuracyEstimate | None:
        """The accuracy that ``fit`` expected, if it could be estimated."""
        saved = self.meta.get("estimate")
        if not saved or saved.get("value") is None:
            return None
        return AccuracyEstimate(**{name: saved[name] for name in _ESTIMATE_FIELDS})

    def _was_trained_on(self, images: ImageSet) -> np.ndarray:
        """Return which images it was trained on (n,), by content: others may have their names."""
        digests = set(self.meta.get("trained_on", ()))
        return np.array([digest in digests for digest in images.content_digests()], dtype=bool)

    def threshold(self, max_error: float) -> float:
        """Compute the confidence from which on at most so many labels are wrong.

        Parameters
        ----------
        max_error : float
            Fraction of the accepted labels that may be wrong, between 0 and 1.

        Returns
        -------
        float
            The threshold, with which the promise holds with 95 % probability for images such as
            those that the model was fitted on: see `fewlabel.evaluate.accept_at`.

        Raises
        ------
        UsageError
            If that cannot be promised.
        """
        found = accept_at(*self.evidence, max_error)
        if found.threshold is not None:
            return found.threshold
        larger = (accept_at(*self.evidence, error) for error in PROMISES if error > max_error)
        able = next((other.max_error for other in larger if other.threshold is not None), None)
        can = "" if able is None else f"; the smallest that can is {_percent_text(able, 0)}"
        raise UsageError(
            f"A max_error of {100 * max_error:g} % cannot be promised: {found.why_not}{can}. "
            "Label more random images (`fewlabel select IMAGES --labels TABLE --out more.csv "
            f"--budget 0 --audit {found.n_missing}`, or a budget with a larger --random-fraction) "
            "and fit again."
        )

    def predict(
        self, images: Any, *, max_error: float | None = None, progress: Progress | None = None
    ) -> Prediction:
        """Predict the labels of images.

        Parameters
        ----------
        images : ImageSet
            Any images; or anything that `load_images` takes, read with the model's `scale`.
        max_error : float, optional
            Leave labels blank, so that at most this fraction of the others is wrong.
        progress : callable, optional
            Called as ``progress(stage, done, total)``.

        Returns
        -------
        Prediction
            Labels and calibrated probabilities.

        Raises
        ------
        UsageError
            If ``max_error`` cannot be promised, see `threshold`.
        """
        threshold = 0.0 if max_error is None else self.threshold(max_error)
        images = load_images(images, scale=self.scale)
        start = time.perf_counter()
        try:
            rows = self.extractor.transform(images, progress=progress)
        except ValueError as error:
            if isinstance(error, FewLabelError):
                raise
            # Features that overflow are refused by scikit-learn, in the middle of an extractor.
            raise _damaged("The features of the model are not finite") from error
        middle = time.perf_counter()
        # Weights that are finite, as loading has seen, can still give products that are not.
        _check_finite({"features": rows}, "model")
        raw = self.fitted.predict_proba(rows)
        proba, unlike, scores = self.calibrated(raw), None, None
        _check_finite({"probabilities": proba}, "model")
        if self.novelty is not None:
            scores = self.novelty.scores(rows, self.task.entropy(raw))
            unlike = scores > self.novelty.alarms.threshold
        seconds = {"features": middle - start, "predict": time.perf_counter() - middle}
        return Prediction(self.task, proba, self.classes, seconds, threshold, unlike, scores, rows)

    def calibrated(self, proba: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities of all classes.

        Parameters
        ----------
        proba : ndarray of shape (n, k)
            The candidate's probabilities, not calibrated.

        Returns
        -------
        ndarray of shape (n, K)
            0 for classes that the candidate does not know.
        """
        return self.widen(self.calibration.apply(proba))

    def widen(self, proba: np.ndarray) -> np.ndarray:
        """Return probabilities with a column for every class.

        Parameters
        ----------
        proba : ndarray of shape (n, k)
            Probabilities of the classes that the candidate knows.

        Returns
        -------
        ndarray of shape (n, K)
            0 for the others.
        """
        # A class that only the audit holds was never learned.
        wide = np.zeros((len(proba), len(self.classes)))
        wide[:, self.columns] = proba
        return wide

    def to_state(self) -> State:
        """Return what predicting needs."""
        arrays: dict[str, np.ndarray] = {}
        meta = self.meta | {
            "task": self.task.name,
            "classes": list(self.classes),
            "columns": self.columns.tolist(),
            "calibration": self.calibration.to_dict(),
            # A network that was loaded is one of the graph on its joined features.
            "method": self.meta.get("method", self.fitted.name),
        }
        parts: dict[str, Any] = {
            "features": self.extractor,
            "candidate": self.fitted,
            "reference": self.reference,
            "inductive": self.inductive,
        }
        for part, thing in parts.items():
            if thing is not None:
                found, meta[part] = thing.to_state()
                arrays |= {f"{part}.{name}": array for name, array in found.items()}
        if len(self.evidence.correct):
            arrays |= {f"evidence.{k}": array for k, array in self.evidence._asdict().items()}
        if self.novelty is not None:
            found, settings = self.novelty.to_state(arrays.get(_SHARED_ROWS))
            arrays |= {f"novelty.{name}": array for name, array in found.items()}
            meta |= {"novelty": settings} if settings else {}
        return arrays, meta

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> Self:
        """Rebuild a model that predicts as the saved one did."""
        _check_fields(meta, _FIELDS, "meta")
        task, classes, columns = TASKS[meta["task"]], tuple(meta["classes"]), meta["columns"]
        known = _listed(_among(range(len(classes))), distinct=True)
        _check_fields(meta, {"columns": [known]}, "meta")
        # Every class takes a column of the probabilities, and only an audit adds classes.
        few = _listed(_NAME, most=10 * len(columns) + 1_000)
        _check_fields(meta, {"classes": [few]}, "meta")
        calibration = _saved_calibration(task, meta["calibration"], "meta")
        candidate = find_candidate(meta["method"])
        parts: dict[str, dict[str, np.ndarray]] = {
            name: {}
            for name in ("features", "candidate", "evidence", "novelty", "reference", "inductive")
        }
        for name, array in arrays.items():
            part, _, rest = name.partition(".")
            # What a later version adds may be ignored.
            parts.get(part, {})[rest] = array
        extractor = _extractor_from_state(parts["features"], meta["features"])
        fitted = candidate.from_state(parts["candidate"], meta["candidate"])
        if fitted.shape not in (None, (extractor.width, len(columns))):
            raise ModelFormatError(
                f"The model is damaged: its candidate takes {fitted.shape} features and classes, "
                f"and it has {extractor.width} and {len(columns)}; copy it anew, or fit again."
            )
        evidence = _saved_evidence(parts["evidence"])
        model = cls(task, extractor, fitted, calibration, classes, columns, meta, evidence)
        if "novelty" in meta:
            rows = arrays.get(_SHARED_ROWS)
            model.novelty = _Novelty.from_state(
                parts["novelty"], meta["novelty"], rows, extractor.width, fitted.graph
            )
        if "reference" in meta:
            model.reference = _Reference.from_state(
                parts["reference"], meta["reference"], len(classes)
            )
        if "inductive" in meta:
            model.inductive = _Inductive.from_state(
                parts["inductive"], meta["inductive"], task, extractor, len(columns)
            )
        return model
