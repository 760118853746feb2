"""The main job where an image may have several labels."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from fewlabel.compute import peak_rss_mb, timed_stage
from fewlabel.data import ImageSet, Labels
from fewlabel.errors import LabelError, UsageError
from fewlabel.evaluate import (
    AccuracyEstimate,
    Choice,
    as_asked,
    audit_estimate,
    estimate_accuracy,
    exactly_right,
    multilabel_scores,
)
from fewlabel.features.backbone import Backbone
from fewlabel.features.choose import FeatureExtractor
from fewlabel.features.extract import Features, Progress, extract_features
from fewlabel.fit_settings import FitSettings
from fewlabel.graph.multilabel import METHODS, MultiLabelClassifier
from fewlabel.semisupervised import label_road as networks
from fewlabel.semisupervised.history import TrainingHistory
from fewlabel.semisupervised.label_road import LabelRoad, follow_label_road
from fewlabel.semisupervised.network_search import DEFAULT_SECONDS, LEAST_SECONDS, RoadClosed


@dataclass(eq=False)
class MultiLabelFit:
    """A trained classifier of several labels, its predictions, and how far to trust them.

    Attributes
    ----------
    main : MultiLabelClassifier
        The main job's classifier, on features.
    extractor : FeatureExtractor
        What turns images into features.
    features : ndarray of shape (n, d), dtype float32
        Features of all images.
    road : LabelRoad or None
        The network that was kept in place of the main job's classifier; None where none was.
    labels : Labels
        The labels that were given.
    proba : ndarray of shape (n, K)
        Calibrated probability of each label of each image; 0 or 1 where it was given.
    origin : ndarray of shape (n,), dtype object
        Where each prediction comes from: ``"label"``, ``"propagated"`` or ``"model"``.
    tested : ndarray of shape (t,), dtype int64
        Labelled images that could be tested.
    tested_proba : ndarray of shape (t, K)
        What was said of them without their labels, calibrated.
    estimate : AccuracyEstimate
        Exact match on them.
    scores : dict of str to float
        Other measures on them, see `fewlabel.evaluate.multilabel_scores`.
    audit : AccuracyEstimate or None
        Exact match on the random audit, if there is one.
    supervised_accuracy : float
        Exact match of the baseline on the labels alone, on the same images.
    choice : Choice or None
        The candidates and why one was chosen.
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
    training : TrainingHistory or None
        Losses and rounds of the networks that were trained; None where there were none.
    """

    main: MultiLabelClassifier
    extractor: FeatureExtractor
    features: np.ndarray
    road: LabelRoad | None
    labels: Labels
    proba: np.ndarray
    origin: np.ndarray
    tested: np.ndarray
    tested_proba: np.ndarray
    estimate: AccuracyEstimate
    scores: dict[str, float]
    audit: AccuracyEstimate | None
    supervised_accuracy: float
    choice: Choice | None
    feature_reason: str
    settings: FitSettings
    seconds: dict[str, float]
    warnings: list[str]
    n_duplicates: int
    n_skipped: int = 0
    peak_rss_mb: float = field(default_factory=peak_rss_mb)
    training: TrainingHistory | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels."""
        return self.labels.classes

    @property
    def method(self) -> str:
        """What was kept."""
        return self.main.method_ if self.road is None else networks.NAME

    @property
    def predicted(self) -> np.ndarray:
        """Which labels are present; shape (n, K), int64."""
        return (self.proba >= 0.5).astype(np.int64)

    @property
    def confidence(self) -> np.ndarray:
        """Probability that all labels of an image are right, taken one by one; shape (n,)."""
        return all_right(self.proba)

    def summary(self) -> dict[str, Any]:
        """Give the result in a form that JSON takes.

        Returns
        -------
        dict
            Exact match with its interval, baseline, candidates, settings, seconds, warnings.
        """
        return {
            "task": "several labels an image",
            "n_images": len(self.proba),
            "n_labeled": int((self.labels.training_y >= 0).any(axis=1).sum()),
            "n_audit": len(self.labels.audit),
            "n_skipped": self.n_skipped,
            "n_duplicates": self.n_duplicates,
            "classes": list(self.classes),
            "estimate": self.estimate.to_dict(),
            "scores": {name: number_or_none(value) for name, value in self.scores.items()},
            "audit": None if self.audit is None else self.audit.to_dict(),
            "supervised_accuracy": number_or_none(self.supervised_accuracy),
            "learning_curve": None,
            "no_learning_curve": "What more labels bring is told for one label an image only.",
            "method": self.method,
            "n_networks": 0 if self.road is None else self.road.n_members,
            "candidates": [] if self.choice is None else [asdict(row) for row in self.choice.table],
            "chosen_settings": self.main.settings_,
            "scaling": asdict(
                self.main.scaling_ if self.road is None else self.road.network.scaling
            ),
            "features": self.feature_reason,
            "settings": asdict(replace(self.settings, checkpoint=None)),
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "peak_rss_mb": round(self.peak_rss_mb, 1),
            "warnings": self.warnings,
        }


def all_right(proba: np.ndarray) -> np.ndarray:
    """Give the probability that all labels are right, taken one by one.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Probability of each label.

    Returns
    -------
    ndarray of shape (n,)
        Product over the labels of the likelier of present and absent.

    Examples
    --------
    >>> all_right(np.array([[0.9, 0.2]])).round(2).tolist()
    [0.72]
    """
    return np.asarray(np.maximum(proba, 1 - proba).prod(axis=1))


def number_or_none(value: float) -> float | None:
    """Give a number that JSON knows.

    Parameters
    ----------
    value : float
        A number or NaN.

    Returns
    -------
    float or None
        None for NaN.

    Examples
    --------
    >>> number_or_none(float("nan")) is None
    True
    """
    return None if np.isnan(value) else float(value)


def listed(names: list[str], most: int = 5) -> str:
    """Name some things in a sentence.

    Parameters
    ----------
    names : list of str
        What to name.
    most : int
        How many at most.

    Returns
    -------
    str
        Names with commas between them, and dots where some are left out.

    Examples
    --------
    >>> listed(["cat", "dog", "fox"], most=2)
    'cat, dog, …'
    """
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def fit_multilabel(
    images: ImageSet,
    labels: Labels,
    settings: FitSettings,
    *,
    prepared: Features | None = None,
    progress: Progress | None = None,
) -> MultiLabelFit:
    """Learn several labels an image from a few labels and all the other images.

    Parameters
    ----------
    images : ImageSet
        Labelled and unlabelled images.
    labels : Labels
        Their labels. Those marked for the audit are not trained on.
    settings : FitSettings
        How to go about it.
    prepared : Features, optional
        Features of ``images`` that have been computed already.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    MultiLabelFit
        The classifier, its predictions, and an honest estimate of their exact match.

    Raises
    ------
    LabelError
        If fewer than two different images are labelled, or no label is both present in one
        image and absent in another.
    UsageError
        If the method is for one label an image.
    """
    _check_method(settings.method)
    Y = labels.training_y
    _check_trainable(labels, Y)
    seconds: dict[str, float] = {}
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
    groups = images.content_groups()
    with timed_stage(seconds, "fit", progress), warnings.catch_warnings():
        # Told below, in the result.
        warnings.filterwarnings("ignore", ".* cannot learn it", UserWarning)
        method = "auto" if settings.method == networks.NAME else settings.method
        main = MultiLabelClassifier(
            method=method, labels=labels.classes, random_state=settings.seed
        ).fit(prepared.rows, Y, groups=groups)
    if main.folds_ is None:
        raise LabelError("At least two different images must be labelled to train.")
    with timed_stage(seconds, "networks", progress):
        spent = seconds["features"] + seconds["fit"]
        road, told = _longer_road(images, Y, main, prepared, groups, settings, spent, progress)
        training = None if road is None else road.training
        choice = main.choice_
        if road is not None and (road.helped or settings.method == networks.NAME):
            choice = as_asked(road.choice, networks.NAME)
        else:
            road = None
    return _result(images, labels, prepared, main, road, choice, settings, seconds, told, training)


def _result(
    images: ImageSet,
    labels: Labels,
    prepared: Features,
    main: MultiLabelClassifier,
    road: LabelRoad | None,
    choice: Choice | None,
    settings: FitSettings,
    seconds: dict[str, float],
    told: list[str],
    training: TrainingHistory | None,
) -> MultiLabelFit:
    folds = main.folds_
    assert folds is not None
    assert choice is not None
    Y, groups = labels.training_y, images.content_groups()
    proba = main.label_distributions_ if road is None else road.proba
    tested, tested_proba = folds.labeled, main.cross_fitted_
    if road is not None:
        tested, tested_proba = road.held, road.held_proba
    position = np.searchsorted(folds.labeled, tested)
    unseen = folds.unseen[position]
    right = exactly_right(Y[tested], (tested_proba >= 0.5).astype(int))
    seen = ~unseen if not unseen.all() else np.ones_like(unseen)
    audited = labels.audit
    audit = None
    if len(audited):
        matches = exactly_right(labels.y[audited], (proba[audited] >= 0.5).astype(int))
        audit = audit_estimate(np.ones(len(audited), dtype=int), matches.astype(int))
    origin = np.full(len(images), "model", dtype=object)
    if road is None and main.method_ in ("graph", "blend"):
        origin[:] = "propagated"
    # Of some images only some labels are given.
    origin[(Y[:, (Y >= 0).any(axis=0)] >= 0).all(axis=1)] = "label"
    return MultiLabelFit(
        main=main,
        extractor=prepared.extractor,
        features=prepared.rows,
        road=road,
        labels=labels,
        proba=proba,
        origin=origin,
        tested=tested[seen],
        tested_proba=tested_proba[seen],
        estimate=estimate_accuracy(right, unseen=unseen, is_random_sample=labels.is_random),
        scores=multilabel_scores(
            Y[tested[seen]], (tested_proba[seen] >= 0.5).astype(int), tested_proba[seen]
        ),
        audit=audit,
        supervised_accuracy=next(r.accuracy for r in choice.table if r.name == "supervised"),
        choice=choice,
        feature_reason=prepared.reason,
        settings=settings,
        seconds=seconds,
        warnings=[*_warnings(images, labels, main, groups, road, audit), *told],
        n_duplicates=len(images) - len(np.unique(groups)),
        n_skipped=len(images.skipped),
        training=training,
    )


def _longer_road(
    images: ImageSet,
    Y: np.ndarray,
    main: MultiLabelClassifier,
    prepared: Features,
    groups: np.ndarray,
    settings: FitSettings,
    spent: float,
    progress: Progress | None,
) -> tuple[LabelRoad | None, list[str]]:
    """Train networks where time allows; say so where that is no help."""
    asked = settings.method == networks.NAME
    total = settings.time_budget
    if total is None and asked:
        total = DEFAULT_SECONDS
    left = (total or 0.0) - spent
    if not asked and (settings.method != "auto" or left < LEAST_SECONDS):
        return None, []
    if not asked and isinstance(prepared.extractor, Backbone):
        return None, [
            "Networks were not tried: for several labels they are trained from scratch on images "
            "of at most 64 pixels, which a pretrained backbone sees better. Give --method "
            f"{networks.NAME} to try them all the same."
        ]
    road = follow_label_road(
        images,
        Y,
        main,
        groups=groups,
        time_budget=max(left, 0.0),
        asked=asked,
        seed=settings.seed,
        device=settings.device,
        checkpoint=settings.checkpoint,
        progress=progress,
    )
    if isinstance(road, RoadClosed):
        return None, [road.reason]
    told = f"Exact match on {len(road.held)} held-out labels: " + ", ".join(
        f"{row.name} {row.accuracy:.1%}" for row in road.choice.table
    )
    if road.helped:
        return road, road.notes
    if asked:
        return road, [*road.notes, f"{told}. The network is kept since you asked for it."]
    return road, [f"{told}. The main job's model is kept."]


def _check_method(method: str) -> None:
    allowed = (*METHODS, networks.NAME)
    if method not in allowed:
        raise UsageError(
            f"The method {method!r} is for one label an image, but the table gives several: choose "
            f"one of {', '.join(allowed)}."
        )


def _check_trainable(labels: Labels, Y: np.ndarray) -> None:
    if not ((Y == 1).any(axis=0) & (Y == 0).any(axis=0)).any():
        if not (Y == 1).any():
            held = "no label is left"
        elif not (Y == 0).any():
            held = "no label is known to be absent"
        else:
            held = "every image has the same labels"
        raise LabelError(
            f"There is nothing to learn: {held} among the images to train on. Label images that "
            "have a label and images that lack it (labels with the purpose `audit` do not count)."
        )


def _warnings(
    images: ImageSet,
    labels: Labels,
    main: MultiLabelClassifier,
    groups: np.ndarray,
    road: LabelRoad | None,
    audit: AccuracyEstimate | None,
) -> list[str]:
    Y = labels.training_y
    found = []
    if images.skipped:
        found.append(
            f"{len(images.skipped)} file(s) were set aside, {images.skipped[0].path} first: see "
            "skipped.csv for the reasons."
        )
    found += [f"{text} It cannot be learnt: label images that have it." for text in main.notes_]
    single = [labels.classes[i] for i in np.flatnonzero((Y == 1).sum(axis=0) == 1)]
    if single:
        found.append(
            f"{len(single)} label(s) are present in one image only ({listed(single)}), so how "
            "well they are recognised cannot be tested: label one more image of each."
        )
    ever = (Y >= 0).any(axis=0)
    bare = int((Y[:, ever] == 0).all(axis=1).sum())
    if bare:
        found.append(
            f"{bare:,} labelled image(s) have none of the labels: they teach absence. Leave the "
            "label blank where it is not known."
        )
    if main.method_ == "supervised" and road is None:
        found.append(
            "The unlabelled images did not help: the model trained on the labels alone does at "
            "least as well and is kept."
        )
    found += _conflicts(images, labels, groups)
    if audit is None and not labels.is_random:
        found.append(
            "The labelled images are not known to be a random sample, so the estimate may be off: "
            "`fewlabel select --audit 50` draws images for an unbiased one."
        )
    return found


def _conflicts(images: ImageSet, labels: Labels, groups: np.ndarray) -> list[str]:
    """Say which exact copies carry different labels."""
    seen: dict[int, int] = {}
    names = labels.names()
    for index in labels.labeled.tolist():
        other = seen.setdefault(int(groups[index]), index)
        a, b = labels.y[other], labels.y[index]
        if ((a != b) & (a >= 0) & (b >= 0)).any():
            return [
                f"{images.names[other]} and {images.names[index]} are the same image, labelled "
                f"{names[other]!r} and {names[index]!r}: correct one of them."
            ]
    return []
