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
    Problem,
    calibrate_apart,
    estimate_accuracy,
    fit_learning_curve,
    make_candidates,
    scores,
    why_no_curve,
)
from fewlabel.features.extract import Features, Progress, extract_features
from fewlabel.fit_result import FitResult, FitSettings
from fewlabel.graph import FewLabelClassifier
from fewlabel.graph.candidates import METHODS as MAIN_METHODS
from fewlabel.graph.fewer_labels import measure_fewer_labels
from fewlabel.model import Model
from fewlabel.selection import Selection, select_images, write_picks
from fewlabel.semisupervised.search import DEFAULT_SECONDS, Kept, network_methods, search

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

_NO_CURVE = (
    "What more labels would bring is not estimated for the method {}: training it on parts of the "
    "labels would take several times as long."
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
    task, seconds = labels.task, dict[str, float]()
    if settings.method != "auto":
        make_candidates(task, [settings.method])
    _check_trainable(images, labels)
    columns, y = task.encode(labels.training_y, len(images), "fit_images")
    with timed_stage(seconds, "features"):
        features = prepared or _extract(images, settings, progress)
    with timed_stage(seconds, "fit", progress):
        main = _fit_main(images, y, features, settings)
    with timed_stage(seconds, "networks", progress):
        problem = _problem(images, labels, columns, y, features, main, settings, progress)
        kept = search(problem, main, settings.method, _time(settings, seconds))
    return _result(images, labels, settings, features, problem, main, kept, seconds, progress)


def _result(
    images: ImageSet,
    labels: Labels,
    settings: FitSettings,
    features: Features,
    problem: Problem,
    main: FewLabelClassifier,
    kept: Kept,
    seconds: dict[str, float],
    progress: Progress | None,
) -> FitResult:
    """Calibrate what was kept, predict all images with it, and estimate how good it is."""
    task, fitted, truth = labels.task, kept.fitted, problem.y[kept.tested]
    testable = ~kept.unseen if not kept.unseen.all() else np.ones_like(kept.unseen)
    calibration = task.calibration()
    if not kept.unseen.all():
        calibration = task.calibrate(truth[testable], kept.oof_proba[testable])
    model = Model(
        task, fitted.extractor, fitted, calibration, labels.classes, problem.shared["columns"]
    )
    proba = task.keep_given(model.calibrated(fitted.proba), labels.training_y)
    # Each part is calibrated by the others: what is tested has not been fitted to.
    oof_proba, baseline = (
        calibrate_apart(task, truth, each, kept.part, kept.unseen)
        for each in (kept.oof_proba, kept.baseline)
    )
    audit = _audit(labels, proba, images.content_groups())
    with timed_stage(seconds, "curve", progress):
        curve, no_curve = _learning_curve(kept, main, labels, images.content_groups(), audit)
    return FitResult(
        task=task,
        labels=labels,
        model=model,
        features=Features(fitted.extractor, kept.rows, kept.reason(features.reason)),
        main=main.fitted(features.extractor),
        baseline=main.supervised(features.rows, features.extractor),
        propagated=model.widen(main.propagated_),
        method=fitted.name,
        proba=proba,
        origin=_origin(labels, fitted.name),
        choice=kept.choice,
        tested=kept.tested[testable],
        tested_proba=model.widen(oof_proba[testable]),
        estimate=estimate_accuracy(
            task.correct(truth, oof_proba), unseen=kept.unseen, is_random_sample=labels.is_random
        ),
        supervised_accuracy=_fraction(task.correct(truth, baseline)[testable & ~kept.unseen]),
        scores=scores(task, truth[testable], oof_proba[testable]),
        audit=audit,
        settings=settings,
        seconds=seconds,
        warnings=[*_warnings(images, labels, fitted.name, audit), *kept.notes],
        n_duplicates=len(images) - len(np.unique(images.content_groups())),
        n_skipped=len(images.skipped),
        curve=curve,
        no_curve=no_curve,
        n_networks=kept.n_networks,
        training=kept.history,
        ledger=fitted.ledger,
    )


def _fit_main(
    images: ImageSet, y: np.ndarray, features: Features, settings: FitSettings
) -> FewLabelClassifier:
    """Fit the candidates on the features; the best of them is the main classifier."""
    method = settings.method if settings.method in MAIN_METHODS else "auto"
    main = FewLabelClassifier(method=method, random_state=settings.seed)
    with warnings.catch_warnings():
        # In the result's warnings.
        warnings.filterwarnings("ignore", ".* cannot learn it", UserWarning)
        return main.fit(features.rows, y, groups=images.content_groups())


def _problem(
    images: ImageSet,
    labels: Labels,
    columns: np.ndarray,
    y: np.ndarray,
    features: Features,
    main: FewLabelClassifier,
    settings: FitSettings,
    progress: Progress | None,
) -> Problem:
    """Return what there is to learn, as every candidate gets it."""
    return Problem(
        task=labels.task,
        images=images,
        extractor=features.extractor,
        rows=features.rows,
        y=y,
        n_classes=len(columns),
        groups=images.content_groups(),
        folds=main.folds_,
        seed=settings.seed,
        device=settings.device,
        checkpoints=settings.checkpoint,
        progress=progress,
        shared={
            "columns": columns,
            "class_names": tuple(labels.classes[column] for column in columns.tolist()),
        },
    )


def _time(settings: FitSettings, seconds: dict[str, float]) -> float:
    """Return the time that is left for networks."""
    total = settings.time_budget
    if total is None:
        total = DEFAULT_SECONDS if settings.method in network_methods() else 0.0
    return max(total - sum(seconds.values()), 0.0)


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


def _check_trainable(images: ImageSet, labels: Labels) -> None:
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
    if len(np.unique(images.content_groups()[labels.task.labeled(y)])) < 2:
        raise LabelError("At least two different images must be labeled to train.")


def _audit(labels: Labels, proba: np.ndarray, groups: np.ndarray) -> AccuracyEstimate | None:
    """Return the accuracy on images drawn at random; no copy of them was trained on."""
    trained = groups[labels.task.labeled(labels.training_y)]
    rows = labels.audit[~np.isin(groups[labels.audit], trained)]
    if not len(rows):
        return None
    return estimate_accuracy(
        labels.task.correct(labels.y[rows], proba[rows]), is_random_sample=True
    )


def _learning_curve(
    kept: Kept,
    main: FewLabelClassifier,
    labels: Labels,
    groups: np.ndarray,
    audit: AccuracyEstimate | None,
) -> tuple[LearningCurve | None, str]:
    """Return what more labels would bring, or why that cannot be estimated."""
    if kept.fitted.name not in MAIN_METHODS:
        return None, _NO_CURVE.format(kept.fitted.name)
    tested = kept.tested[~kept.unseen]
    _, first = np.unique(groups[tested], return_index=True)
    reason = why_no_curve(labels.task.stratify(labels.training_y)[tested[first]])
    if reason:
        return None, reason
    points = measure_fewer_labels(main)
    curve = fit_learning_curve(
        points.n_labeled,
        points.right,
        n_now=len(kept.tested),
        n_classes=len(main.classes_),
        is_random_sample=labels.is_random,
        unlabeled_fraction=1 - len(kept.tested) / len(labels.y),
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


def _fraction(correct: np.ndarray) -> float:
    return float(correct.mean()) if len(correct) else float("nan")


def _warnings(
    images: ImageSet,
    labels: Labels,
    method: str,
    audit: AccuracyEstimate | None,
) -> list[str]:
    """Return what the user must know of the images and labels."""
    found, groups = list[str](), images.content_groups()
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
    copies = int(
        np.isin(groups[labels.audit], groups[labels.task.labeled(labels.training_y)]).sum()
    )
    if copies:
        found.append(
            f"{copies} image(s) of the audit are exact copies of images that are trained on, and "
            "do not count for it."
        )
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
