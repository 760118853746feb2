"""The main job, as a story: images and a few labels in, a trusted classifier out.

``select_images`` chooses what to label; ``fit_images`` learns from the labels. Saving, loading
and reporting are in `fewlabel.runs` and `fewlabel.report`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from fewlabel.compute import timed_stage
from fewlabel.data import ImageSet, Labels
from fewlabel.errors import LabelError
from fewlabel.evaluate import (
    AccuracyEstimate,
    LearningCurve,
    estimate_accuracy,
    fit_learning_curve,
    scores,
    why_no_curve,
)
from fewlabel.features.extract import Features, Progress, extract_features
from fewlabel.fit_result import FitResult, FitSettings
from fewlabel.graph import FewLabelClassifier
from fewlabel.graph.fewer_labels import measure_fewer_labels
from fewlabel.model import Model
from fewlabel.selection import Selection, select_images, write_picks
from fewlabel.semisupervised.search import NETWORK_METHODS, search_networks

__all__ = [
    "Features",
    "FitResult",
    "FitSettings",
    "Progress",
    "Selection",
    "extract_features",
    "fit_images",
    "select_images",
    "write_picks",
]

_NO_CURVE_OF_NETWORKS = (
    "What more labels would bring is not estimated where networks were kept: training them on "
    "parts of the labels would take several times as long."
)


def fit_images(
    images: ImageSet,
    labels: Labels,
    settings: FitSettings | None = None,
    *,
    prepared: Features | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Learn from a few labels and all the other images.

    Parameters
    ----------
    images : ImageSet
        Labeled and unlabeled images.
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
    FitResult
        The model, its predictions, and an honest estimate of their accuracy.

    Raises
    ------
    LabelError
        If there is nothing to learn: fewer than two classes, or two different images, are labeled.
    UsageError
        If the method is not for such labels.
    """
    settings = settings or FitSettings()
    task, y, groups = labels.task, labels.training_y, images.content_groups()
    _check_trainable(labels, groups)
    seconds: dict[str, float] = {}
    with timed_stage(seconds, "features"):
        features = prepared or _extract(images, settings, progress)
    with timed_stage(seconds, "fit", progress), warnings.catch_warnings():
        # The result names what cannot be learned by the names of the classes.
        warnings.filterwarnings("ignore", ".* cannot learn it", UserWarning)
        method = "auto" if settings.method in NETWORK_METHODS else settings.method
        main = FewLabelClassifier(method=method, random_state=settings.seed)
        main.fit(features.rows, y, groups=groups)
    with timed_stage(seconds, "networks", progress):
        spent = seconds["features"] + seconds["fit"]
        found = search_networks(images, y, groups, main, features, settings, spent, progress)
    fitted = found.fitted
    model = Model(task, fitted.features.extractor, fitted.classifier, labels.classes)
    proba = model.widen(fitted.classifier.label_distributions_)
    tested_proba = model.widen(fitted.tested_proba)
    estimate = estimate_accuracy(
        task.correct(y[fitted.tested], tested_proba),
        unseen=fitted.unseen,
        is_random_sample=labels.is_random,
    )
    seen = ~fitted.unseen if not fitted.unseen.all() else np.ones_like(fitted.unseen)
    tested, tested_proba = fitted.tested[seen], tested_proba[seen]
    audit = _audit(labels, proba)
    curve, no_curve = None, _NO_CURVE_OF_NETWORKS
    if not fitted.n_networks:
        with timed_stage(seconds, "curve", progress):
            curve, no_curve = _learning_curve(main, features.rows, labels, groups, audit)
    return FitResult(
        task=task,
        labels=labels,
        model=model,
        features=fitted.features,
        main=main,
        method=fitted.name,
        proba=proba,
        origin=_origin(labels, fitted.name),
        choice=fitted.choice,
        tested=tested,
        tested_proba=tested_proba,
        estimate=estimate,
        supervised_accuracy=_share(task.correct(y[tested], model.widen(fitted.baseline)[seen])),
        scores=scores(task, y[tested], tested_proba),
        audit=audit,
        settings=settings,
        seconds=seconds,
        warnings=[*_warnings(images, labels, fitted.name, groups, audit), *found.notes],
        n_duplicates=len(images) - len(np.unique(groups)),
        n_skipped=len(images.skipped),
        curve=curve,
        no_curve=no_curve,
        n_networks=fitted.n_networks,
        training=found.training,
        ledger=fitted.ledger,
    )


def _extract(images: ImageSet, settings: FitSettings, progress: Progress | None) -> Features:
    return extract_features(
        images,
        features=settings.features,
        weights=settings.weights,
        seed=settings.seed,
        device=settings.device,
        cache=settings.cache,
        progress=progress,
    )


def _check_trainable(labels: Labels, groups: np.ndarray) -> None:
    """Raise if no class is both present in an image to train on and absent from another."""
    y = labels.training_y
    present, known = labels.task.evidence(y, len(labels.classes))
    present = (present == 1) & known
    if not (present.any(axis=0) & (known & ~present).any(axis=0)).any():
        labeled = labels.task.labeled(y)
        held = "every image is labeled " + repr(labels.names()[labeled[0]]) if len(labeled) else ""
        raise LabelError(
            f"There is nothing to learn: {held or 'no image to train on is labeled'}. Label images "
            "of at least two classes (labels with the purpose `audit` do not count)."
        )
    if len(np.unique(groups[labels.task.labeled(y)])) < 2:
        raise LabelError("At least two different images must be labeled to train.")


def _audit(labels: Labels, proba: np.ndarray) -> AccuracyEstimate | None:
    """Return the accuracy on images drawn at random that were never trained on."""
    rows = labels.audit
    if not len(rows):
        return None
    return estimate_accuracy(
        labels.task.correct(labels.y[rows], proba[rows]), is_random_sample=True
    )


def _learning_curve(
    classifier: FewLabelClassifier,
    rows: np.ndarray,
    labels: Labels,
    groups: np.ndarray,
    audit: AccuracyEstimate | None,
) -> tuple[LearningCurve | None, str]:
    """Return what more labels would bring, or why that cannot be estimated."""
    folds = classifier.folds_
    assert folds is not None
    tested = folds.labeled[~folds.unseen]
    _, first = np.unique(groups[tested], return_index=True)
    reason = why_no_curve(labels.task.stratify(labels.y)[tested[first]])
    if reason:
        return None, reason
    points = measure_fewer_labels(classifier)
    curve = fit_learning_curve(
        points.n_labeled,
        points.right,
        n_now=len(folds.labeled),
        n_classes=len(classifier.classes_),
        is_random_sample=labels.is_random,
        unlabeled_fraction=1 - len(folds.labeled) / len(rows),
        audit=None if audit is None else (round(audit.value * audit.n), audit.n),
    )
    return curve, ""


def _origin(labels: Labels, method: str) -> np.ndarray:
    """Return where the prediction of each image comes from."""
    origin = np.full(len(labels.y), "propagated" if method in ("graph", "blend") else "model")
    _, known = labels.task.evidence(labels.training_y, len(labels.classes))
    # Of some images only some labels are given.
    origin[known[:, known.any(axis=0)].all(axis=1)] = "label"
    return origin.astype(object)


def _share(correct: np.ndarray) -> float:
    return float(correct.mean()) if len(correct) else float("nan")


def _warnings(
    images: ImageSet,
    labels: Labels,
    method: str,
    groups: np.ndarray,
    audit: AccuracyEstimate | None,
) -> list[str]:
    """Return what the user must know of the images and labels."""
    found = []
    if images.skipped:
        found.append(
            f"{len(images.skipped)} file(s) were set aside, {images.skipped[0].path} first: see "
            "skipped.csv for the reasons."
        )
    found += _class_warnings(labels, groups)
    if method == "supervised":
        found.append(
            "The unlabeled images did not help: the supervised baseline, trained without them, "
            "does at least as well and is kept."
        )
    found += _conflicts(images, labels, groups)
    if audit is None and not labels.is_random:
        found.append(
            "The labeled images are not known to be a random sample, so the accuracy estimate "
            "may be off: `fewlabel select --audit 50` draws images for an unbiased one."
        )
    return found


def _class_warnings(labels: Labels, groups: np.ndarray) -> list[str]:
    """Return which classes cannot be learned or tested, and what teaches absence alone."""
    present, known = labels.task.evidence(labels.training_y, len(labels.classes))
    images_of = [len(np.unique(groups[column == 1])) for column in present.T]
    single = [name for name, n in zip(labels.classes, images_of, strict=True) if n == 1]
    missing = [name for name, n in zip(labels.classes, images_of, strict=True) if n == 0]
    found = []
    if single:
        found.append(
            f"{len(single)} class(es) have one labeled image only ({_listed(single)}), so how "
            "well they are recognized cannot be tested: label one more image of each."
        )
    if missing:
        found.append(
            f"No image to train on has the class(es) {_listed(missing)}, so the model does not "
            "know them: label images that have them."
        )
    bare = int((known[:, known.any(axis=0)].all(axis=1) & ~(present == 1).any(axis=1)).sum())
    if bare:
        found.append(
            f"{bare:,} labeled image(s) have none of the labels: they teach absence. Leave the "
            "label blank where it is not known."
        )
    return found


def _conflicts(images: ImageSet, labels: Labels, groups: np.ndarray) -> list[str]:
    """Return which exact copies carry different labels."""
    seen: dict[int, int] = {}
    names, y = labels.names(), labels.y
    for index in labels.labeled.tolist():
        other = seen.setdefault(int(groups[index]), index)
        if ((y[other] != y[index]) & (y[other] >= 0) & (y[index] >= 0)).any():
            return [
                f"{images.names[other]} and {images.names[index]} are the same image, labeled "
                f"{names[other]!r} and {names[index]!r}: correct one of them."
            ]
    return []


def _listed(names: Sequence[str], limit: int = 5) -> str:
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")
