"""The main job, as a story: images and a few labels in, a trusted classifier out.

``select_images`` chooses what to label; ``fit_images`` learns from the labels. Saving, loading
and reporting are next door, in `fewlabel.run_folder` and `fewlabel.run_report`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from fewlabel.classifier import FewLabelClassifier
from fewlabel.cluster.representatives import Picks, pick_representatives
from fewlabel.compute import as_generator, peak_rss_mb
from fewlabel.data import ImageSet, Labels
from fewlabel.data.tables import write_table
from fewlabel.errors import LabelError, UsageError
from fewlabel.evaluate import AccuracyEstimate, accuracy, audit_estimate, estimate_accuracy
from fewlabel.features.choose import FeatureExtractor, choose_extractor

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class FitSettings:
    """What a fit can be told.

    Attributes
    ----------
    method : {"auto", "graph", "student", "blend", "supervised"}
        How to learn; ``"auto"`` lets cross-fitting choose.
    features : str
        ``"auto"``, ``"patches"``, ``"pixels"`` or the timm name of a network.
    weights : str or None
        A ``.safetensors`` file for the network.
    seed : int
        Seed of every random choice.
    device : {"auto", "cpu", "cuda", "mps"}
        Where a network runs.
    """

    method: str = "auto"
    features: str = "auto"
    weights: str | None = None
    seed: int = 0
    device: str = "auto"


@dataclass(frozen=True, eq=False)
class Features:
    """Features of an image set, and what made them.

    Attributes
    ----------
    extractor : FeatureExtractor
        What turns images into features, fitted.
    rows : ndarray of shape (n, d), dtype float32
        One row an image.
    reason : str
        Which features, and why.
    """

    extractor: FeatureExtractor
    rows: np.ndarray
    reason: str


@dataclass(frozen=True, eq=False)
class Selection:
    """Images worth labelling.

    Attributes
    ----------
    indices : ndarray of shape (n_picks,), dtype int64
        Images, the most useful first; those for the audit last.
    purpose : ndarray of shape (n_picks,), dtype object
        ``"train"``, ``"random"`` (to train on, drawn at random) or ``"audit"``.
    cluster_size : ndarray of shape (n_picks,), dtype int64
        How many images each one stands for; 0 for random ones.
    method : str
        How they were chosen.
    feature_reason : str
        Which features were used, and why.
    seconds : dict of str to float
        Time of each stage.
    warnings : list of str
        What the user must know.
    """

    indices: np.ndarray
    purpose: np.ndarray
    cluster_size: np.ndarray
    method: str
    feature_reason: str
    seconds: dict[str, float]
    warnings: list[str]


@dataclass(eq=False)
class FitResult:
    """A trained classifier, its predictions for all images, and how far to trust them.

    Attributes
    ----------
    classifier : FewLabelClassifier
        The trained classifier, on features; its classes are positions in ``classes``.
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
    """

    classifier: FewLabelClassifier
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
            "supervised_accuracy": _number(self.supervised_accuracy),
            "method": self.classifier.method_,
            "candidates": [] if choice is None else [asdict(row) for row in choice.table],
            "chosen_settings": self.classifier.settings_,
            "temperature": self.classifier.temperature_,
            "features": self.feature_reason,
            "settings": asdict(self.settings),
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "peak_rss_mb": round(self.peak_rss_mb, 1),
            "warnings": self.warnings,
        }


def extract_features(
    images: ImageSet,
    *,
    features: str = "auto",
    weights: str | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> Features:
    """Turn images into features, without a look at labels.

    Parameters
    ----------
    images : ImageSet
        The images.
    features : str
        Which features; see `FitSettings`.
    weights : str, optional
        A ``.safetensors`` file for a network.
    seed : int
        Seed of every random choice.
    device : {"auto", "cpu", "cuda", "mps"}
        Where a network runs.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Features
        One row an image, and the extractor for more images.
    """
    extractor, reason = choose_extractor(features, weights=weights, seed=seed, device=device)
    rows = extractor.fit_transform(images, progress=progress)
    return Features(extractor, rows, reason)


def select_images(
    images: ImageSet,
    budget: int,
    *,
    method: str = "representatives",
    audit: int = 0,
    labels: Labels | None = None,
    features: str = "auto",
    weights: str | None = None,
    seed: int = 0,
    device: str = "auto",
    prepared: Features | None = None,
    progress: Progress | None = None,
) -> Selection:
    """Choose which images to label first.

    Parameters
    ----------
    images : ImageSet
        Images to choose from. Of exact copies only the first can be chosen.
    budget : int
        How many to choose for training; may be 0 where there is an audit.
    method : {"representatives", "medoids", "typiclust", "random"}
        How; see `fewlabel.cluster.representatives.pick_representatives`.
    audit : int
        How many more to draw at random, to measure accuracy and never to train on.
    labels : Labels, optional
        Labels that exist: these images, and their like, are not chosen again.
    features : str
        Which features; see `FitSettings`.
    weights : str, optional
        A ``.safetensors`` file for a network.
    seed : int
        Seed of every random choice.
    device : {"auto", "cpu", "cuda", "mps"}
        Where a network runs.
    prepared : Features, optional
        Features of ``images`` that have been computed already.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Selection
        The images, most useful first.

    Raises
    ------
    UsageError
        If the budget is larger than the images allow, or the method is unknown.
    """
    seconds: dict[str, float] = {}
    known = np.array([], np.int64) if labels is None else labels.labeled
    copies = _later_copies(images)
    barred = np.union1d(known, copies)
    least = 0 if audit else 1
    if not least <= budget <= len(images) - len(barred) - audit:
        raise UsageError(
            f"The budget of {budget} and an audit of {audit} do not fit {len(images):,} images, "
            f"of which {len(known):,} are labelled and {len(copies):,} are exact copies: lower it."
        )
    rng = as_generator(seed)
    free = np.setdiff1d(np.arange(len(images)), barred)
    audited = np.sort(rng.choice(free, size=audit, replace=False))
    reason = "None: a random draw needs no features."
    rows = np.zeros((len(images), 1), dtype=np.float32)
    if method != "random" and budget:
        with _timed(seconds, "features"):
            prepared = prepared or extract_features(
                images,
                features=features,
                weights=weights,
                seed=seed,
                device=device,
                progress=progress,
            )
        rows, reason = prepared.rows, prepared.reason
    picks = Picks(np.array([], np.int64), np.array([], np.int64))
    with _timed(seconds, "select", progress):
        if budget:
            picks = pick_representatives(
                rows,
                budget,
                method=method,
                labeled=known,
                exclude=np.union1d(barred, audited),
                random_state=seed,
            )
    purpose = "random" if method == "random" else "train"
    return Selection(
        indices=np.concatenate([picks.indices, audited]),
        purpose=np.array([purpose] * budget + ["audit"] * audit, dtype=object),
        cluster_size=np.concatenate([picks.cluster_sizes, np.zeros(audit, np.int64)]),
        method=method,
        feature_reason=reason,
        seconds=seconds,
        warnings=_selection_warnings(images, copies),
    )


def write_picks(
    selection: Selection, images: ImageSet, out: Any, *, labels: Labels | None = None
) -> None:
    """Write the chosen images as a label table to fill in.

    Parameters
    ----------
    selection : Selection
        From `select_images`.
    images : ImageSet
        The images it was made for.
    out : str or Path
        CSV file: ``path,label,purpose,cluster_size``, or ``index,…`` for arrays.
    labels : Labels, optional
        Labels that exist: they go first, so that the table is all that a fit needs.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written to.
    """
    key = "index" if images.by_index else "path"
    rows = []
    if labels is not None:
        names, why = labels.names(), labels.purpose or ("",) * len(images)
        rows = [(images.names[i], names[i], why[i], "") for i in labels.labeled.tolist()]
    rows += [
        (images.names[index], "", purpose, str(size))
        for index, purpose, size in zip(
            selection.indices.tolist(),
            selection.purpose.tolist(),
            selection.cluster_size.tolist(),
            strict=True,
        )
    ]
    write_table(out, (key, "label", "purpose", "cluster_size"), rows)


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
        Labelled and unlabelled images.
    labels : Labels
        Their labels. Those marked for the audit are not trained on.
    settings : FitSettings, optional
        How to go about it.
    prepared : Features, optional
        Features of ``images`` that have been computed already.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    FitResult
        The classifier, its predictions, and an honest estimate of their accuracy.

    Raises
    ------
    LabelError
        If fewer than two classes are left to train on.
    """
    settings = settings or FitSettings()
    seconds: dict[str, float] = {}
    y = labels.training_y
    _check_trainable(labels, y)
    with _timed(seconds, "features"):
        prepared = prepared or extract_features(
            images,
            features=settings.features,
            weights=settings.weights,
            seed=settings.seed,
            device=settings.device,
            progress=progress,
        )
    with _timed(seconds, "fit", progress):
        groups = images.content_groups()
        classifier = FewLabelClassifier(method=settings.method, random_state=settings.seed)
        classifier.fit(prepared.rows, y, groups=groups)
        proba = _all_classes(classifier.label_distributions_, classifier, labels)
    estimate, supervised = _estimates(classifier, labels, y)
    audited = labels.audit
    audit = audit_estimate(labels.y[audited], proba[audited].argmax(1)) if len(audited) else None
    origin = np.full(len(images), "model", dtype=object)
    if classifier.method_ in ("graph", "blend"):
        origin[:] = "propagated"
    origin[y >= 0] = "label"
    return FitResult(
        classifier=classifier,
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
        warnings=_fit_warnings(images, labels, classifier, groups, audit),
        n_duplicates=len(images) - len(np.unique(groups)),
        n_skipped=len(images.skipped),
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
            f"{len(names)} class(es) have one labelled image only ({_listed(names)}), so how well "
            "they are recognised cannot be tested: label one more image of each."
        )
    unused = [c for i, c in enumerate(labels.classes) if i not in classifier.classes_]
    if unused:
        warnings.append(
            f"The class(es) {_listed(unused)} appear in the audit only, so the model does not "
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


def _selection_warnings(images: ImageSet, copies: np.ndarray) -> list[str]:
    warnings = []
    if images.skipped:
        first = images.skipped[0]
        warnings.append(
            f"{len(images.skipped)} file(s) cannot be used, such as {first.path}: {first.reason}"
        )
    if len(copies):
        warnings.append(
            f"{len(copies)} image(s) are exact copies of others and are not chosen, such as "
            f"{images.names[copies[0]]}."
        )
    return warnings


def _later_copies(images: ImageSet) -> np.ndarray:
    groups = images.content_groups()
    _, first = np.unique(groups, return_index=True)
    return np.setdiff1d(np.arange(len(images)), first)


def _listed(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


@contextmanager
def _timed(seconds: dict[str, float], stage: str, progress: Progress | None = None) -> Any:
    start = time.perf_counter()
    if progress is not None:
        progress(stage, 0, 1)
    yield
    if progress is not None:
        progress(stage, 1, 1)
    seconds[stage] = time.perf_counter() - start
