"""The search for a better model: networks beside the main classifier, in a time budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.evaluate import Choice
from fewlabel.features.extract import Features
from fewlabel.features.pixels import Progress
from fewlabel.graph.classifier import FewLabelClassifier
from fewlabel.semisupervised.history import TrainingHistory
from fewlabel.semisupervised.ledger import PseudoLabelLedger
from fewlabel.semisupervised.network_search import (
    DEFAULT_SECONDS,
    LEAST_SECONDS,
    RoadClosed,
    follow_network_road,
    student_settings,
)
from fewlabel.semisupervised.network_search import (
    METHODS as NETWORK_METHODS,
)

if TYPE_CHECKING:
    from fewlabel.fit_result import FitSettings


@dataclass(frozen=True, eq=False)
class KeptFit:
    """What was kept: a classifier on rows, and its predictions for labels that it did not see."""

    name: str
    classifier: FewLabelClassifier
    features: Features
    choice: Choice
    tested: np.ndarray
    tested_proba: np.ndarray
    baseline: np.ndarray
    unseen: np.ndarray
    n_networks: int = 0
    ledger: PseudoLabelLedger | None = None


@dataclass(frozen=True, eq=False)
class Search:
    """The outcome of a search."""

    fitted: KeptFit
    training: TrainingHistory | None = None
    notes: list[str] = field(default_factory=list)


def search_networks(
    images: ImageSet,
    y: np.ndarray,
    groups: np.ndarray,
    main: FewLabelClassifier,
    features: Features,
    settings: FitSettings,
    spent: float,
    progress: Progress | None,
) -> Search:
    """Train networks where time allows, and keep them where they predict better."""
    kept = _of_main(main, features)
    asked = settings.method in NETWORK_METHODS
    total = settings.time_budget
    if total is None and asked:
        total = DEFAULT_SECONDS
    left = (total or 0.0) - spent
    if not asked and (settings.method != "auto" or left < LEAST_SECONDS):
        return Search(kept)
    if y.ndim != 1:
        return Search(kept)
    road = follow_network_road(
        images,
        y,
        main,
        features.extractor,
        features.rows,
        groups=groups,
        time_budget=max(left, 0.0),
        method=settings.method,
        seed=settings.seed,
        settings=student_settings(features.extractor, settings.device),
        checkpoint=settings.checkpoint,
        progress=progress,
    )
    if isinstance(road, RoadClosed):
        return Search(kept, notes=[road.reason])
    scores = ", ".join(f"{row.name} {row.accuracy:.1%}" for row in road.choice.table)
    told = f"On {len(road.classifier.cross_fitted_)} held-out labels: {scores}"
    road.training.classes = tuple(str(code) for code in main.classes_.tolist())
    if not road.helped and not asked:
        return Search(kept, road.training, [f"{told}. The main job's model is kept."])
    reason = f"{features.reason} Joined with what {road.n_rounds} network(s) see."
    folds = road.classifier.folds_
    assert folds is not None
    fitted = KeptFit(
        road.name,
        road.classifier,
        Features(road.extractor, road.rows, reason),
        road.choice,
        folds.labeled,
        road.classifier.cross_fitted_,
        road.classifier.supervised_cross_fitted_,
        folds.unseen,
        road.n_rounds,
        road.ledger,
    )
    notes = road.notes
    if not road.helped:
        notes = [*notes, f"{told}. The networks are kept since you asked for them."]
    return Search(fitted, road.training, notes)


def _of_main(main: FewLabelClassifier, features: Features) -> KeptFit:
    folds = main.folds_
    assert folds is not None
    assert main.choice_ is not None
    return KeptFit(
        main.method_,
        main,
        features,
        main.choice_,
        folds.labeled,
        main.cross_fitted_,
        main.supervised_cross_fitted_,
        folds.unseen,
    )
