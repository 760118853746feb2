"""The main job, as a story: images and a few labels in, a trusted classifier out.

``select_images`` chooses what to label; ``fit_images`` learns from the labels. Saving, loading
and reporting are in `fewlabel.runs` and `fewlabel.report`.
"""

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fewlabel.compute import _timed_stage
from fewlabel.data import ImageSet, Labels, labels_of, load_images
from fewlabel.errors import LabelError
from fewlabel.evaluate import (
    BASELINE,
    AccuracyEstimate,
    Comparison,
    Evidence,
    Gain,
    LearningCurve,
    Problem,
    agree_with,
    audit_accuracy,
    class_accuracy,
    estimate_on_pool,
    fit_learning_curve,
    gain_on_audit,
    make_candidates,
    scores,
    why_no_curve,
)
from fewlabel.features.extract import Features, Progress, extract_features
from fewlabel.features.near_copies import _find_groups, _ImageGroups
from fewlabel.fit_checks import _check_trainable, _fit_warnings, _why_no_networks
from fewlabel.fit_features import _fit_features
from fewlabel.fit_result import FitResult
from fewlabel.fit_settings import FitSettings
from fewlabel.graph import MainFit, deal_folds
from fewlabel.graph.candidates import _shared_graph
from fewlabel.graph.fewer_labels import _measure_fewer_labels
from fewlabel.graph.inductive import _best_inductive
from fewlabel.graph.novelty import _fit_novelty
from fewlabel.graph.predictor import METHODS as MAIN_METHODS
from fewlabel.model import Model
from fewlabel.selection import Selection, select_images, write_picks
from fewlabel.semisupervised.search import DEFAULT_SECONDS, _Kept, _network_methods, _search

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

_TOO_FEW_IMAGES = (
    "What twice the labels would bring is not estimated: there are not twice as many images."
)
_NO_CURVE = (
    "What more labels would bring is not estimated for the method {}: training it on parts of the "
    "labels would take several times as long."
)


def fit_images(
    images: Any,
    labels: Any,
    settings: FitSettings | None = None,
    *,
    prepared: Features | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Learn from a few labels and all the other images.

    Parameters
    ----------
    images : ImageSet
        Labeled and unlabeled images; or anything that `load_images` takes.
    labels : Labels
        Their labels, one an image or several; or a label table, its path, or an array: see
        `fewlabel.data.labels_of`. Those marked for the audit are not trained on.
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
        If there is nothing to learn: fewer than two classes, or two images that do not belong
        together, are labeled.
    UsageError
        If the method is not for such labels.
    """
    settings = settings or FitSettings()
    images = load_images(images)
    labels, _ = labels_of(labels, images, "fit_images")
    task, seconds = labels.task, dict[str, float]()
    if settings.method != "auto":
        # A method that does not exist must not cost the features first.
        make_candidates(task, [settings.method])
    _check_trainable(images, labels)
    hopeless = _why_no_networks(images, labels, settings, prepared)
    if hopeless:
        # At once, and not after the time has been spent.
        warnings.warn(hopeless, UserWarning, stacklevel=2)
    with _timed_stage(seconds, "features"):
        features = prepared or _extract(images, settings, progress)
    columns, problem = _problem(images, labels, features, settings, progress)
    with _timed_stage(seconds, "fit", progress):
        graph = _shared_graph(problem)
        groups = _find_groups(images, labels, graph.neighbors, graph.distances)
        folds = deal_folds(problem.y, groups.number, settings.seed)
        if folds is None:
            raise LabelError(
                "All images to train on belong together, as near-copies or by their `group`: label "
                "images of another group, which test what these teach."
            )
        problem = replace(problem, groups=groups.number, folds=folds)
        method = settings.method if settings.method in MAIN_METHODS else "auto"
        left = _time_left(settings, seconds)
        problem, main, features = _fit_features(problem, features, settings, method, left)
    with _timed_stage(seconds, "networks", progress):
        time_left = 0.0 if hopeless else _time_left(settings, seconds)
        kept = _search(problem, main, settings.method, time_left)
    kept.notes.extend([hopeless] if hopeless else [])
    fitted, meta = kept.fitted, {"pixels": images.scale._to_dict()}
    pool = _pool(labels, groups, kept)
    calibration, estimate = estimate_on_pool(kept.comparison, pool)
    model = Model(task, fitted.extractor, fitted, calibration, labels.classes, columns, meta)
    audited = _audited(labels, groups.number)
    fit = _Fit(labels, problem, features, main, kept, model, groups, pool, audited)
    return fit.result(settings, estimate, seconds)


@dataclass(frozen=True, eq=False)
class _Fit:
    """A fit that has kept a candidate: what its predictions and estimates are made of."""

    labels: Labels
    problem: Problem
    features: Features
    main: MainFit
    kept: _Kept
    model: Model
    groups: _ImageGroups
    # Uncalibrated probabilities (m, K) of images of whose group none was trained on.
    pool: np.ndarray
    # Images of the audit of whose group none was trained on.
    audited: np.ndarray

    @property
    def compared(self) -> Comparison:
        """What the kept candidate was compared with."""
        return self.kept.comparison

    def result(
        self, settings: FitSettings, estimate: AccuracyEstimate, seconds: dict[str, float]
    ) -> FitResult:
        """Predict all images, and estimate how good that is by labels that were not seen."""
        labels, model, compared, main = self.labels, self.model, self.compared, self.main
        task, images, name = labels.task, self.problem.images, compared.kept.name
        audit = self.audit()
        if audit is not None:
            # One number for the accuracy: the confidence agrees with the one that is known better.
            model.calibration = agree_with(task, model.calibration, self.pool, audit.value)
        # What a person said is certain, and stands against any prediction.
        proba = task.keep_given(model.calibrated(self.kept.fitted.proba), labels.training_y)
        drawn, drawn_proba, model.evidence = self.drawn(proba)
        model.inductive = _best_inductive(compared)
        known = _of_known_classes(labels, self.audited, model.columns)
        model.novelty, unlike_scores = _fit_novelty(
            self.problem, main, compared, self.kept.rows, known
        )
        with _timed_stage(seconds, "curve", self.problem.progress):
            curve, no_curve = self.learning_curve(audit or estimate)
        oof_proba = compared.calibrated(name, model.calibration)
        origin = _origin(labels, name)
        n_predicted = task.decided(model.widen(oof_proba)).sum(axis=0)
        # Where all images are labeled, new ones are like those that were tested.
        others = proba[origin != "label"] if (origin != "label").any() else drawn_proba
        y, groups = labels.y[drawn], self.groups.number[drawn]
        gain = self.audit_gain(proba)
        warnings = _fit_warnings(images, labels, compared.choice, audit, gain, self.groups)
        features, reason = self.features, self.kept._reason(self.features.reason)
        return FitResult(
            labels=labels,
            model=model,
            features=Features(model.extractor, self.kept.rows, reason, features.warnings),
            main=main.kept,
            baseline=main.comparison.baseline,
            propagated=model.widen(main.propagated),
            proba=proba,
            origin=origin,
            choice=compared.choice,
            estimate=estimate,
            by_class=class_accuracy(task, y, drawn_proba, others, n_predicted, groups),
            audit=audit,
            settings=settings,
            seconds=seconds,
            warnings=[*features.warnings, *warnings, *self.kept.notes],
            n_duplicates=len(images) - len(np.unique(self.groups.content)),
            n_pool=len(self.pool),
            n_near_copies=self.groups.n_near,
            near_copies=self.groups._in_words(images),
            copies=self.groups.copies,
            n_skipped=len(images.skipped),
            curve=curve,
            no_curve=no_curve,
            n_networks=self.kept.n_networks,
            training=self.kept.history,
            ledger=self.kept.fitted.ledger,
            audit_gain=gain,
            audited=self.audited,
            unlike_scores=unlike_scores,
            **_on_tested(compared, model, oof_proba),
        )

    def audit(self) -> AccuracyEstimate | None:
        """Return the accuracy by images drawn at random; none of their group was trained on."""
        rows = self.audited
        if not len(rows):
            return None
        proba, sure = (
            self.model.calibrated(of) for of in (self.kept.fitted.proba[rows], self.pool)
        )
        n, y, groups = len(self.compared.tested), self.labels.y[rows], self.groups.number[rows]
        return audit_accuracy(self.labels.task, y, proba, sure, n_labels=n, groups=groups)

    def audit_gain(self, proba: np.ndarray) -> Gain | None:
        """Return what the unlabeled images bring by the audit; None where nothing was compared."""
        rows, name, main = self.audited, self.compared.kept.name, self.main
        names = [row.name for row in self.compared.choice.table]
        if not len(rows) or BASELINE not in names or len(names) < 2:
            return None

        def right(known: np.ndarray) -> np.ndarray:
            return self.labels.task.correct(self.labels.y[rows], known)

        def calibrated(name: str, found: np.ndarray) -> np.ndarray:
            # Where an image may have several labels, the calibration decides which it has.
            return self.model.widen(main.comparison.calibration(name).apply(found[rows]))

        kept_right = right(proba[rows])
        if name == BASELINE:
            # Of its rivals, all images were predicted by the graph alone.
            return gain_on_audit("graph", right(calibrated("graph", main.propagated)), kept_right)
        baseline_right = right(calibrated(BASELINE, main.comparison.baseline.proba))
        return gain_on_audit(name, kept_right, baseline_right)

    def drawn(self, proba: np.ndarray) -> tuple[np.ndarray, np.ndarray, Evidence]:
        """Return images that were drawn at random, and their predictions without their labels."""
        compared, model, drawn = self.compared, self.model, self.compared.is_random
        # What is predicted must not rest on the label, and the confidence must be that of all
        # images.
        apart = model.widen(compared.calibrated(compared.kept.name)[drawn])
        sure = model.calibrated(compared.oof_proba[compared.kept.name][drawn])
        rows = np.concatenate([compared.tested[drawn], self.audited])
        y = self.labels.y[rows]
        apart, sure = (np.concatenate([found, proba[self.audited]]) for found in (apart, sure))
        confidence = np.clip(model.task.confidence(sure), 0, 1).astype(np.float32)
        # Of which some labels are not known, nobody can say whether it would be right to accept it.
        _, known = model.task.evidence(y, len(self.labels.classes))
        whole = known[:, model.columns].all(axis=1)
        return rows, sure, Evidence(model.task.correct(y, apart)[whole], confidence[whole])

    def learning_curve(self, accuracy: AccuracyEstimate) -> tuple[LearningCurve | None, str]:
        """Return what more labels would bring, or why that cannot be estimated."""
        compared, labels = self.compared, self.labels
        if compared.kept.name not in MAIN_METHODS:
            return None, _NO_CURVE.format(compared.kept.name)
        if 2 * len(compared.tested) > len(labels.y):
            return None, _TOO_FEW_IMAGES
        tested = compared.tested[~compared.unseen]
        # Copies share a fold, so they test as one image.
        _, first = np.unique(self.groups.number[tested], return_index=True)
        reason = why_no_curve(labels.task.stratify(labels.training_y)[tested[first]])
        if reason:
            return None, reason
        points = _measure_fewer_labels(self.main)
        curve = fit_learning_curve(
            points.n_labeled,
            points.right,
            n_now=len(compared.tested),
            n_classes=self.main.shared.n_classes,
            is_random_sample=labels.is_random,
            unlabeled_fraction=1 - len(compared.tested) / len(labels.y),
            audit=_as_counts(accuracy),
        )
        return curve, ""


def _on_tested(compared: Comparison, model: Model, oof_proba: np.ndarray) -> dict[str, Any]:
    """Return what labels that were not trained on say, as parts of the result."""
    seen = ~compared.unseen
    # Where no label can be predicted, the predictions are shown all the same.
    shown = seen if seen.any() else ~seen
    found = scores(model.task, compared.y[shown], oof_proba[shown])
    baseline_proba = compared.calibrated(compared.baseline.name)
    baseline = model.task.correct(compared.y, baseline_proba)[seen]
    return {
        "tested": compared.tested[shown],
        "tested_proba": model.widen(oof_proba[shown]),
        "supervised_accuracy": float(baseline.mean()) if len(baseline) else math.nan,
        "scores": found if seen.any() else dict.fromkeys(found),
    }


def _problem(
    images: ImageSet,
    labels: Labels,
    features: Features,
    settings: FitSettings,
    progress: Progress | None,
) -> tuple[np.ndarray, Problem]:
    """Return what there is to learn, as every candidate gets it, and the place of each class."""
    columns, y = labels.task.encode(labels.training_y, len(images), "fit_images")
    labeled = labels.task.labeled(y)
    problem = Problem(
        task=labels.task,
        images=images,
        extractor=features.extractor,
        rows=features.rows,
        y=y,
        n_classes=len(columns),
        seed=settings.seed,
        device=settings.device,
        checkpoints=settings.checkpoint,
        progress=progress,
        # Where all images are labeled, nobody has chosen easy ones.
        random=labels.random if len(labeled) < len(images) else labeled,
        class_names=tuple(labels.classes[column] for column in columns.tolist()),
    )
    return columns, problem


def _time_left(settings: FitSettings, seconds: dict[str, float]) -> float:
    """Return the time that is left for networks."""
    total = settings.time_budget
    if total is None:
        total = DEFAULT_SECONDS if settings.method in _network_methods() else 0.0
    return max(total - sum(seconds.values()), 0.0)


def _extract(images: ImageSet, settings: FitSettings, progress: Progress | None) -> Features:
    return extract_features(
        images,
        features=settings.features,
        weights=settings.weights,
        seed=settings.seed,
        device=settings.device,
        cache=settings.cache,
        seconds=settings.time_budget,
        progress=progress,
    )


def _pool(labels: Labels, groups: _ImageGroups, kept: _Kept) -> np.ndarray:
    """Return probabilities (n, K), uncalibrated, of images of whose group none is trained on."""
    trained = labels.task.labeled(labels.training_y)
    untrained = np.setdiff1d(np.arange(len(labels.y)), trained)
    # Tested are labels of which nothing in their group was trained on.
    akin = groups._akin(trained)[untrained]
    if (~akin).sum() < min(akin.sum(), len(kept.comparison.tested)):
        # Hardly any image is like new ones, but the tested labels are, without their groups.
        return kept.comparison.oof_proba[kept.comparison.kept.name]
    return kept.fitted.proba[untrained[~akin]]


def _audited(labels: Labels, groups: np.ndarray) -> np.ndarray:
    """Return the images of the audit of whose group none was trained on."""
    trained = groups[labels.task.labeled(labels.training_y)]
    # A copy of an image that was trained on is predicted from its own label.
    return labels.audit[~np.isin(groups[labels.audit], trained)]


def _of_known_classes(labels: Labels, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the images of the audit that show no class but those that were trained on."""
    present, _ = labels.task.evidence(labels.y[rows], len(labels.classes))
    return rows[np.delete(present, columns, axis=1).sum(axis=1) == 0]


def _as_counts(accuracy: AccuracyEstimate) -> tuple[float, float] | None:
    """Return how many right of how many random labels would say as much."""
    if math.isnan(accuracy.value):
        return None
    # The normal interval of 95 % is 3.92 standard errors wide.
    variance = ((accuracy.high - accuracy.low) / 3.92) ** 2
    n = max(1.0, accuracy.value * (1 - accuracy.value) / max(variance, 1e-9))
    return accuracy.value * n, n


def _origin(labels: Labels, method: str) -> np.ndarray:
    """Return where the prediction of each image comes from."""
    by_graph = method in ("graph", "refined", "blend")
    origin = np.full(len(labels.y), "propagated" if by_graph else "model")
    _, known = labels.task.evidence(labels.training_y, len(labels.classes))
    # Of some images only some labels are given.
    origin[known[:, known.any(axis=0)].all(axis=1)] = "label"
    return origin.astype(object)
