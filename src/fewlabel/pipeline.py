"""The main job, as a story: images and a few labels in, a trusted classifier out.

``select_images`` chooses what to label; ``fit_images`` learns from the labels. Saving, loading
and reporting are next door, in `fewlabel.runs.folder` and `fewlabel.report.run`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from fewlabel.compute import peak_rss_mb, timed_stage
from fewlabel.data import ImageSet, Labels, MultiLabel
from fewlabel.errors import LabelError
from fewlabel.evaluate import (
    AccuracyEstimate,
    LearningCurve,
    accuracy,
    audit_estimate,
    estimate_accuracy,
    fit_learning_curve,
    why_no_curve,
)
from fewlabel.features.choose import FeatureExtractor
from fewlabel.features.extract import Features, Progress, extract_features
from fewlabel.fit_settings import FitSettings
from fewlabel.graph import FewLabelClassifier
from fewlabel.graph.fewer_labels import measure_fewer_labels
from fewlabel.multilabel_fit import MultiLabelFit, fit_multilabel, listed, number_or_none
from fewlabel.selection import Selection, select_images, write_picks
from fewlabel.semisupervised import PseudoLabelLedger, network_search
from fewlabel.semisupervised.history import TrainingHistory
from fewlabel.semisupervised.network_search import (
    NetworkRoad,
    RoadClosed,
    follow_network_road,
    student_settings,
)

__all__ = [
    "Features",
    "FitResult",
    "FitSettings",
    "MultiLabelFit",
    "Progress",
    "Selection",
    "extract_features",
    "fit_images",
    "select_images",
    "write_picks",
]


_NO_CURVE_OF_NETWORKS = (
    "What more labels would bring is not told where networks were kept: training them on parts "
    "of the labels would take several times as long."
)


@dataclass(eq=False)
class FitResult:
    """A trained classifier, its predictions for all images, and how far to trust them.

    Attributes
    ----------
    classifier : FewLabelClassifier
        The trained classifier, on features; its classes are positions in ``classes``.
    main : FewLabelClassifier
        The main job's classifier, on features that no network was trained for; the same as
        ``classifier`` where no networks were kept.
    extractor : FeatureExtractor
        What turns images into features.
    features : ndarray of shape (n, d), dtype float32
        Features of all images.
    labels : Labels
        The labels that were given.
    classes : tuple of str
        Names of the classes.
    proba : ndarray of shape (n, K)
        Calibrated class probabilities of all images.
    origin : ndarray of shape (n,), dtype object
        Where each prediction comes from: ``"label"``, ``"propagated"`` or ``"model"``.
    estimate : AccuracyEstimate
        Accuracy from the labels that were trained on, by cross-fitting.
    audit : AccuracyEstimate or None
        Accuracy on the random audit, if there is one.
    supervised_accuracy : float
        Cross-fitted accuracy of the baseline on the labels alone.
    feature_reason : str
        Which features were used, and why.
    settings : FitSettings
        What the fit was told.
    seconds : dict of str to float
        Time of each stage.
    warnings : list of str
        What the user must know.
    n_duplicates : int
        Exact copies among the images.
    n_skipped : int
        Files that were set aside.
    peak_rss_mb : float
        Peak memory in megabytes.
    curve : LearningCurve or None
        What more labels would bring.
    no_curve : str
        Why there is no ``curve``; empty if there is.
    n_networks : int
        Networks that were trained one after the other, whose embeddings are among the features.
    way : str
        How they were trained, see `fewlabel.semisupervised`; empty where there are none.
    training : TrainingHistory or None
        Losses and pseudo-labels of the networks that were trained; None where there were none.
    ledger : PseudoLabelLedger or None
        Pseudo-labels of networks that are kept, with round and revocation; classes are
        positions in ``classifier.classes_``.
    """

    classifier: FewLabelClassifier
    main: FewLabelClassifier
    extractor: FeatureExtractor
    features: np.ndarray
    labels: Labels
    classes: tuple[str, ...]
    proba: np.ndarray
    origin: np.ndarray
    estimate: AccuracyEstimate
    audit: AccuracyEstimate | None
    supervised_accuracy: float
    feature_reason: str
    settings: FitSettings
    seconds: dict[str, float]
    warnings: list[str]
    n_duplicates: int
    n_skipped: int = 0
    peak_rss_mb: float = field(default_factory=peak_rss_mb)
    curve: LearningCurve | None = None
    no_curve: str = ""
    n_networks: int = 0
    way: str = ""
    training: TrainingHistory | None = None
    ledger: PseudoLabelLedger | None = None

    @property
    def predicted(self) -> np.ndarray:
        """Most probable class of each image; shape (n,), dtype int64."""
        return self.proba.argmax(axis=1)

    @property
    def confidence(self) -> np.ndarray:
        """Probability of that class; shape (n,), float64."""
        return self.proba.max(axis=1)

    def summary(self) -> dict[str, Any]:
        """Give the result in a form that JSON takes.

        Returns
        -------
        dict
            Accuracy with its interval, baseline, candidates, settings, seconds, warnings.
        """
        choice = self.classifier.choice_
        return {
            "n_images": len(self.proba),
            "n_labeled": int((self.labels.training_y >= 0).sum()),
            "n_audit": len(self.labels.audit),
            "n_skipped": self.n_skipped,
            "n_duplicates": self.n_duplicates,
            "classes": list(self.classes),
            "estimate": self.estimate.to_dict(),
            "audit": None if self.audit is None else self.audit.to_dict(),
            "supervised_accuracy": number_or_none(self.supervised_accuracy),
            "learning_curve": None if self.curve is None else self.curve.to_dict(),
            "no_learning_curve": self.no_curve,
            "method": self.way or self.classifier.method_,
            "n_networks": self.n_networks,
            "candidates": [] if choice is None else [asdict(row) for row in choice.table],
            "chosen_settings": self.classifier.settings_,
            "temperature": self.classifier.temperature_,
            "features": self.feature_reason,
            "settings": asdict(replace(self.settings, checkpoint=None)),
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "peak_rss_mb": round(self.peak_rss_mb, 1),
            "warnings": self.warnings,
        }


def fit_images(
    images: ImageSet,
    labels: Labels,
    settings: FitSettings | None = None,
    *,
    prepared: Features | None = None,
    progress: Progress | None = None,
) -> Any:
    """Learn from a few labels and all the other images.

    Parameters
    ----------
    images : ImageSet
        Labelled and unlabelled images.
    labels : Labels
        Their labels, one an image or several. Those marked for the audit are not trained on.
    settings : FitSettings, optional
        How to go about it.
    prepared : Features, optional
        Features of ``images`` that have been computed already.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    FitResult or MultiLabelFit
        The classifier, its predictions, and an honest estimate of their accuracy.

    Raises
    ------
    LabelError
        If fewer than two classes are left to train on.
    """
    settings = settings or FitSettings()
    if labels.task == MultiLabel():
        return fit_multilabel(images, labels, settings, prepared=prepared, progress=progress)
    seconds: dict[str, float] = {}
    y = labels.training_y
    _check_trainable(labels, y)
    with timed_stage(seconds, "features"):
        prepared = prepared or extract_features(
            images,
            features=settings.features,
            weights=settings.weights,
            seed=settings.seed,
            device=settings.device,
            cache=settings.cache,
            progress=progress,
        )
    with timed_stage(seconds, "fit", progress):
        groups = images.content_groups()
        method = "auto" if settings.method in network_search.METHODS else settings.method
        main = FewLabelClassifier(method=method, random_state=settings.seed)
        classifier = main.fit(prepared.rows, y, groups=groups)
    with timed_stage(seconds, "networks", progress):
        spent = seconds["features"] + seconds["fit"]
        road, told = _longer_road(images, y, main, prepared, groups, settings, spent, progress)
        training = None if road is None else road.training
        if training is not None:
            training.classes = tuple(labels.classes[code] for code in main.classes_)
        if road is not None and not road.helped and settings.method == "auto":
            road = None
        if road is not None:
            classifier = road.classifier
            reason = f"{prepared.reason} Joined with what {road.n_rounds} network(s) see."
            prepared = Features(road.extractor, road.rows, reason)
    proba = _all_classes(classifier.label_distributions_, classifier, labels)
    estimate, supervised = _estimates(classifier, labels, y)
    audited = labels.audit
    audit = audit_estimate(labels.y[audited], proba[audited].argmax(1)) if len(audited) else None
    curve, no_curve = None, _NO_CURVE_OF_NETWORKS
    if road is None:
        with timed_stage(seconds, "curve", progress):
            curve, no_curve = _learning_curve(main, prepared.rows, labels, groups, audit)
    origin = np.full(len(images), "model", dtype=object)
    if classifier.method_ in ("graph", "blend"):
        origin[:] = "propagated"
    origin[y >= 0] = "label"
    return FitResult(
        classifier=classifier,
        main=main,
        extractor=prepared.extractor,
        features=prepared.rows,
        labels=labels,
        classes=labels.classes,
        proba=proba,
        origin=origin,
        estimate=estimate,
        audit=audit,
        supervised_accuracy=supervised,
        feature_reason=prepared.reason,
        settings=settings,
        seconds=seconds,
        warnings=[*_fit_warnings(images, labels, main, groups, audit), *told],
        n_duplicates=len(images) - len(np.unique(groups)),
        n_skipped=len(images.skipped),
        curve=curve,
        no_curve=no_curve,
        n_networks=0 if road is None else road.n_rounds,
        way="" if road is None else road.name,
        training=training,
        ledger=None if road is None else road.ledger,
    )


def _estimates(
    classifier: FewLabelClassifier, labels: Labels, y: np.ndarray
) -> tuple[AccuracyEstimate, float]:
    """Accuracy of the chosen candidate and of the baseline, from cross-fitted predictions."""
    folds = classifier.folds_
    if folds is None:
        raise LabelError("At least two different images must be labelled to train.")
    truth = y[folds.labeled]
    codes = np.asarray(classifier.classes_)
    correct = codes[classifier.cross_fitted_.argmax(axis=1)] == truth
    estimate = estimate_accuracy(correct, unseen=folds.unseen, is_random_sample=labels.is_random)
    seen = ~folds.unseen
    baseline = codes[classifier.supervised_cross_fitted_.argmax(axis=1)]
    supervised = accuracy(truth[seen], baseline[seen]) if seen.any() else float("nan")
    return estimate, supervised


def _longer_road(
    images: ImageSet,
    y: np.ndarray,
    main: FewLabelClassifier,
    prepared: Features,
    groups: np.ndarray,
    settings: FitSettings,
    spent: float,
    progress: Progress | None,
) -> tuple[NetworkRoad | None, list[str]]:
    """Train networks where time allows; say so where that is no help."""
    asked = settings.method in network_search.METHODS
    total = settings.time_budget
    if total is None and asked:
        total = network_search.DEFAULT_SECONDS
    left = (total or 0.0) - spent
    if not asked and (settings.method != "auto" or left < network_search.LEAST_SECONDS):
        return None, []
    road = follow_network_road(
        images,
        y,
        main,
        prepared.extractor,
        prepared.rows,
        groups=groups,
        time_budget=max(left, 0.0),
        method=settings.method,
        seed=settings.seed,
        settings=student_settings(prepared.extractor, settings.device),
        checkpoint=settings.checkpoint,
        progress=progress,
    )
    if isinstance(road, RoadClosed):
        return None, [road.reason]
    scores = {row.name: row.accuracy for row in road.choice.table}
    told = f"On {len(road.classifier.cross_fitted_)} held-out labels: " + ", ".join(
        f"{name} {value:.1%}" for name, value in scores.items()
    )
    if road.helped:
        return road, road.notes
    if asked:
        return road, [*road.notes, f"{told}. The networks are kept since you asked for them."]
    return road, [f"{told}. The main job's model is kept."]


def _learning_curve(
    classifier: FewLabelClassifier,
    features: np.ndarray,
    labels: Labels,
    groups: np.ndarray,
    audit: AccuracyEstimate | None,
) -> tuple[LearningCurve | None, str]:
    """Learn what more labels would bring, or why it cannot be told."""
    folds = classifier.folds_
    assert folds is not None
    tested = folds.labeled[~folds.unseen]
    _, first = np.unique(groups[tested], return_index=True)
    reason = why_no_curve(labels.y[tested[first]])
    if reason:
        return None, reason
    points = measure_fewer_labels(classifier, features)
    curve = fit_learning_curve(
        points.n_labeled,
        points.right,
        n_now=len(folds.labeled),
        n_classes=len(classifier.classes_),
        is_random_sample=labels.is_random,
        unlabeled_share=1 - len(folds.labeled) / len(features),
        audit=None if audit is None else (round(audit.value * audit.n), audit.n),
    )
    return curve, ""


def _all_classes(proba: np.ndarray, classifier: FewLabelClassifier, labels: Labels) -> np.ndarray:
    """Widen probabilities to all classes: one that only the audit holds gets none."""
    if proba.shape[1] == len(labels.classes):
        return proba
    wide = np.zeros((len(proba), len(labels.classes)))
    wide[:, classifier.classes_] = proba
    return wide


def _check_trainable(labels: Labels, y: np.ndarray) -> None:
    present = np.unique(y[y >= 0])
    if len(present) < 2:
        held = f"only {labels.classes[present[0]]!r}" if len(present) else "no label"
        raise LabelError(
            f"At least two classes are needed to train, but the labels hold {held}: label images "
            "of another class (labels with the purpose `audit` do not count)."
        )


def _fit_warnings(
    images: ImageSet,
    labels: Labels,
    classifier: FewLabelClassifier,
    groups: np.ndarray,
    audit: AccuracyEstimate | None,
) -> list[str]:
    warnings = []
    if images.skipped:
        warnings.append(
            f"{len(images.skipped)} file(s) were set aside, {images.skipped[0].path} first: see "
            "skipped.csv for the reasons."
        )
    folds = classifier.folds_
    if folds is not None and folds.singletons:
        names = [labels.classes[classifier.classes_[code]] for code in folds.singletons]
        warnings.append(
            f"{len(names)} class(es) have one labelled image only ({listed(names)}), so how well "
            "they are recognised cannot be tested: label one more image of each."
        )
    unused = [c for i, c in enumerate(labels.classes) if i not in classifier.classes_]
    if unused:
        warnings.append(
            f"The class(es) {listed(unused)} appear in the audit only, so the model does not "
            "know them: label some for training."
        )
    if classifier.method_ == "supervised":
        warnings.append(
            "The unlabelled images did not help: the model trained on the labels alone does at "
            "least as well and is kept."
        )
    warnings.extend(_conflicts(images, labels, groups))
    if audit is None and not labels.is_random:
        warnings.append(
            "The labelled images are not known to be a random sample, so the accuracy estimate "
            "may be off: `fewlabel select --audit 50` draws images for an unbiased one."
        )
    return warnings


def _conflicts(images: ImageSet, labels: Labels, groups: np.ndarray) -> list[str]:
    """Say which exact copies carry different labels."""
    seen: dict[int, int] = {}
    for index in labels.labeled.tolist():
        other = seen.setdefault(int(groups[index]), index)
        if labels.y[other] != labels.y[index]:
            return [
                f"{images.names[other]} and {images.names[index]} are the same image, labelled "
                f"{labels.classes[labels.y[other]]!r} and {labels.classes[labels.y[index]]!r}: "
                "correct one of them."
            ]
    return []
