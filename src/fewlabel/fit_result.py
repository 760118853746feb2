"""What a fit gives."""

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from fewlabel.compute import peak_rss_mb
from fewlabel.data import Labels, Task
from fewlabel.evaluate import (
    PROMISES,
    Acceptance,
    AccuracyEstimate,
    Choice,
    Fitted,
    Gain,
    LearningCurve,
    accept_at,
    gain_on_labels,
)
from fewlabel.evaluate.outliers import (
    MIN_LABELS,
    SUSPICIOUS_BELOW,
    _label_probability,
    _rank_labels,
)
from fewlabel.features.extract import Features
from fewlabel.fit_settings import FitSettings
from fewlabel.model import Model
from fewlabel.semisupervised.history import TrainingHistory
from fewlabel.semisupervised.ledger import PseudoLabelLedger

_NO_UNLIKE = (
    "What is unlike anything labeled is not marked: that takes at least "
    f"{MIN_LABELS} labels that can be tested."
)


@dataclass(eq=False)
class FitResult:
    """A trained model, its predictions for all images, and how far to trust them.

    Attributes
    ----------
    labels : Labels
        The labels that were given.
    model : Model
        What predicts images.
    features : Features
        Rows that the model's classifier was fitted on, and the extractor that makes them.
    main : Fitted
        The best candidate on features that no network was trained for; the model's own where no
        other was kept.
    baseline : Fitted
        The supervised baseline on those features.
    propagated : ndarray of shape (n, K)
        What the graph predicts for all images, whatever was kept.
    proba : ndarray of shape (n, K)
        Calibrated probabilities of all images; given labels are certain.
    origin : ndarray of shape (n,), dtype object
        Where each prediction comes from: ``"label"``, ``"propagated"`` or ``"model"``.
    choice : Choice
        All candidates that were compared, and why one was kept.
    tested : ndarray of shape (m,), dtype int64
        Labeled images whose labels the tested models did not see.
    tested_proba : ndarray of shape (m, K)
        Calibrated out-of-fold probabilities of those images.
    estimate : AccuracyEstimate
        Accuracy, or exact match, from those images.
    supervised_accuracy : float
        The same of the supervised baseline; NaN where it could not be tested.
    scores : dict of str to float or None
        More measures on those images.
    by_class : list of dict
        Precision and recall of each class on the unlabeled images, with intervals: see
        `fewlabel.evaluate.class_accuracy`.
    audit : AccuracyEstimate or None
        Accuracy on the random audit, if there is one.
    settings : FitSettings
        What was asked for.
    seconds : dict of str to float
        Time of each stage.
    warnings : list of str
        What the user must know.
    n_duplicates : int
        Exact copies among the images.
    n_pool : int
        Unlabeled images that the estimate is of: of groups without a label to train on.
    n_near_copies : int
        Images that nearly repeat another: crops, bursts, other encodings.
    near_copies : str
        What share of the images that is, and a pair for an example.
    copies : ndarray of shape (n,), dtype int64, or None
        The same number for images that repeat each other, or nearly.
    n_skipped : int
        Files that were set aside.
    peak_rss_mb : float
        Peak memory in megabytes.
    curve : LearningCurve or None
        What more labels would bring.
    no_curve : str
        Why there is no ``curve``; empty if there is.
    n_networks : int
        Networks whose embeddings are among the features.
    training : TrainingHistory or None
        Losses and pseudo-labels of the networks that were trained; None where there were none.
    ledger : PseudoLabelLedger or None
        Pseudo-labels of networks that are kept, with round and revocation; classes are positions
        in ``classes``.
    audit_gain : Gain or None
        What the unlabeled images bring by the audit; None without one.
    audited : ndarray of shape (m,), dtype int64
        Images of the audit that measure: of whose group none was trained on.
    left_unexplained : str
        Why the report explains fewer predictions than it might; empty if it does not.
    unlike_scores : ndarray of shape (n,) or None
        How unlike all labeled images each image is, larger where it is less like them; None where
        fewer than 19 labels can be tested.
    """

    labels: Labels
    model: Model
    features: Features
    main: Fitted
    baseline: Fitted
    propagated: np.ndarray
    proba: np.ndarray
    origin: np.ndarray
    choice: Choice
    tested: np.ndarray
    tested_proba: np.ndarray
    estimate: AccuracyEstimate
    supervised_accuracy: float
    scores: dict[str, float | None]
    by_class: list[dict[str, float | None]]
    audit: AccuracyEstimate | None
    settings: FitSettings
    seconds: dict[str, float]
    warnings: list[str]
    n_duplicates: int
    n_pool: int = 0
    n_near_copies: int = 0
    near_copies: str = ""
    copies: np.ndarray | None = None
    n_skipped: int = 0
    peak_rss_mb: float = field(default_factory=peak_rss_mb)
    curve: LearningCurve | None = None
    no_curve: str = ""
    n_networks: int = 0
    training: TrainingHistory | None = None
    ledger: PseudoLabelLedger | None = None
    audit_gain: Gain | None = None
    audited: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    left_unexplained: str = ""
    unlike_scores: np.ndarray | None = None

    @property
    def task(self) -> Task:
        """Whether an image has one label or may have several."""
        return self.labels.task

    @property
    def method(self) -> str:
        """Name of the candidate that was kept."""
        return self.model.fitted.name

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.labels.classes

    @property
    def predicted(self) -> np.ndarray:
        """The most probable labels of all images, in the form of ``labels.y``."""
        return self.task.predict(self.proba)

    @property
    def confidence(self) -> np.ndarray:
        """Probability that they are right; shape (n,), float64."""
        return self.task.confidence(self.proba)

    @property
    def chosen_settings(self) -> dict[str, Any]:
        """Settings that cross-fitting chose."""
        return self.model.fitted.settings

    def supervised_proba(self) -> np.ndarray:
        """Predict all images by the supervised baseline.

        Returns
        -------
        ndarray of shape (n, K)
            Not calibrated.
        """
        return self.model.widen(self.baseline.proba)

    @property
    def unlabeled(self) -> np.ndarray:
        """Whether not all labels of an image were given to train on; shape (n,), bool."""
        return np.asarray(self.origin != "label")

    @property
    def unlike(self) -> np.ndarray:
        """Images without a label that are unlike anything labeled, the most unlike first."""
        novelty, scores = self.model.novelty, self.unlike_scores
        if novelty is None or scores is None:
            return np.empty(0, dtype=np.int64)
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] > novelty.alarms.threshold]
        return order[~np.isin(order, self.labels.labeled)]

    @property
    def unlike_in_words(self) -> str:
        """How many images are unlike anything labeled, beside what chance would give."""
        return str(self._unlike_summary()["in_words"])

    @property
    def label_probability(self) -> np.ndarray:
        """How probable the labels of ``tested`` are to models that did not see them; (m,)."""
        y = self.labels.training_y[self.tested]
        return _label_probability(self.task, y, self.tested_proba)

    @property
    def suspicious(self) -> np.ndarray:
        """Labeled images that are predicted otherwise, so that their labels are improbable."""
        y = self.labels.training_y[self.tested]
        order, proba = _rank_labels(self.task, y, self.tested_proba)
        # Of classes with one label nothing can be said.
        return self.tested[order[(proba[order] < SUSPICIOUS_BELOW) & (self.estimate.n > 0)]]

    @property
    def promises(self) -> tuple[Acceptance, ...]:
        """What can be accepted without a look if 1, 2, 5, … % of it may be wrong."""
        return tuple(accept_at(*self.model.evidence, error) for error in PROMISES)

    @property
    def headline(self) -> AccuracyEstimate:
        """The accuracy to go by: the audited one, or else the estimate."""
        return self.audit or self.estimate

    @property
    def gain(self) -> Gain | None:
        """What the unlabeled images bring, by the audit if there is one; None if not measured."""
        return self.audit_gain or (gain_on_labels(self.choice) if self.estimate.n else None)

    @property
    def rests_on(self) -> str:
        """What the headline rests on, as words."""
        found, several = self.headline, "" if self.headline.n == 1 else "s"
        text = f"{found.n:,} label{several}, none known to be drawn at random"
        if self.audit is not None:
            text = f"an audit of {found.n:,} random image{several}"
        elif not self.unlabeled.any():
            text = f"{found.n:,} labels, each predicted by a model that had not seen it"
        elif found.is_random_sample:
            text = f"{found.n:,} label{several} drawn at random"
        if found.method == "posterior":
            text += f" and the confidence in {self.n_pool:,} images"
        return text

    @property
    def surely_weak(self) -> list[int]:
        """Classes whose precision or recall is surely below the accuracy, the weakest first."""
        highs = [
            min(row[f"{name}_high"] or 1.0 for name in ("precision", "recall"))
            for row in self.by_class
        ]
        weak = [k for k, high in enumerate(highs) if high < self.headline.low]
        return sorted(weak, key=highs.__getitem__)

    def summary(self) -> dict[str, Any]:
        """Return the result in a form that JSON takes.

        Returns
        -------
        dict
            Accuracy with its interval, baseline, candidates, settings, seconds, warnings.
        """
        baseline = self.supervised_accuracy
        return {
            "task": self.task.name,
            "metric": self.task.metric,
            "n_images": len(self.proba),
            "n_labeled": len(self.task.labeled(self.labels.training_y)),
            "n_audit": len(self.labels.audit),
            "n_skipped": self.n_skipped,
            "n_duplicates": self.n_duplicates,
            "n_near_copies": self.n_near_copies,
            "near_copies": self.near_copies,
            "classes": list(self.classes),
            "estimate": self.estimate.to_dict(),
            "rests_on": self.rests_on,
            "scores": self.scores,
            "per_class": [
                {"class": name} | row for name, row in zip(self.classes, self.by_class, strict=True)
            ],
            "surely_weak": [self.classes[k] for k in self.surely_weak],
            "audit": None if self.audit is None else self.audit.to_dict(),
            "n_unlabeled": int(self.unlabeled.sum()),
            "accepted_without_a_look": [
                found._asdict() | {"n_images": self._n_accepted(found), "why_not": found.why_not}
                for found in self.promises
            ],
            "supervised_accuracy": None if math.isnan(baseline) else baseline,
            "unlabeled_gain": None
            if self.gain is None
            else asdict(self.gain) | {"in_words": self.gain.in_words()},
            "learning_curve": None if self.curve is None else self.curve.to_dict(),
            "no_learning_curve": self.no_curve,
            "method": self.method,
            "n_networks": self.n_networks,
            "candidates": [asdict(row) for row in self.choice.table],
            "chosen_settings": self.chosen_settings,
            "features": self.features.reason,
            # A path of this machine is no property of the result, and may name a person.
            "settings": asdict(replace(self.settings, checkpoint=None)),
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "peak_rss_mb": round(self.peak_rss_mb, 1),
            "unlike": self._unlike_summary(),
            "n_suspicious": len(self.suspicious),
            "warnings": self.warnings,
        }

    def _unlike_summary(self) -> dict[str, Any]:
        """Return how many images are unlike anything labeled, and the rate of false alarms."""
        novelty, n_free = self.model.novelty, len(self.proba) - self.labels.n_labeled
        if novelty is None or not n_free:
            return {"n_images": 0, "in_words": _NO_UNLIKE if n_free else ""}
        return novelty.alarms.summary(len(self.unlike), n_free)

    def _n_accepted(self, found: Acceptance) -> int:
        """Count the unlabeled images that can be accepted, as `Prediction.accepted` does."""
        if found.threshold is None:
            return 0
        rows = np.setdiff1d(np.flatnonzero(self.unlabeled), self.unlike)
        return int((self.confidence[rows] >= found.threshold).sum())
