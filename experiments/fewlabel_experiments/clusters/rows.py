"""The rows that both clustering studies are made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..protocol import Outcome, Row, Settings, Study
from . import learners
from .learners import DEFAULT, LR, NET
from .models import ModelStore
from .session import ClusterSession, TrainingSet, check_data, n_training_images

_SHORT = {LR: "lr", NET: "network"}
_LEARN = {LR: learners.logistic, NET: learners.network}


class ClusterStudy(Study):
    """A study on k-means, with rows that name what was labeled and how labels were spread."""

    session = ClusterSession

    def check(self, config: dict[str, Any], settings: Settings) -> None:
        """Refuse data that are missing or too few, and folders that hold no models."""
        check_data(config, max(config.get("budgets", []) + config.get("clusters", [])))
        ModelStore(settings.save_models, settings.from_models)

    def on_all(self, config: dict[str, Any], model: str) -> Row:
        """Train on all labels."""
        name = f"{_SHORT[model]}-all"
        n = n_training_images(config)
        setting = f"all {n:,} labels"
        return self._row(name, setting, model, n, ClusterSession.all_labels, name)

    def on_random(self, model: str, n: int) -> Row:
        """Train on random labels."""
        name = f"{_SHORT[model]}-{n}-random"
        return self._row(name, f"{n:,} random labels", model, n, lambda s: s.random(n), name)

    def on_representatives(self, model: str, n: int) -> list[Row]:
        """Train on the image nearest to each center, and on the centers themselves."""
        readings = {"medoids": ClusterSession.at_medoids, "centroids": ClusterSession.at_centroids}
        return [
            self._row(
                f"{_SHORT[model]}-{n}-{name}",
                f"representatives of {n:,} clusters: the {name}",
                model,
                n,
                partial(rows, n_clusters=n),
                f"{_SHORT[model]}-{n}-representatives",
            )
            for name, rows in readings.items()
        ]

    def on_spread(self, model: str, n: int, percentile: float) -> Row:
        """Train on what the labels were spread to."""
        part = "whole" if percentile == 100 else f"nearest{percentile:g}"
        where = "the whole cluster" if percentile == 100 else f"the nearest {percentile:g} %"
        name = f"{_SHORT[model]}-{n}-{part}"
        setting = f"{n:,} clusters, label spread to {where}"
        return self._row(name, setting, model, n, lambda s: s.spread(n, percentile), name)

    def on_distances(self, config: dict[str, Any], n: int) -> Row:
        """Train on distances to the centers, with all labels."""
        name = f"lr-{n}-distances"

        def compute(session: ClusterSession) -> Outcome:
            return learners.logistic_on_distances(session, name, n)

        setting = f"distances to {n:,} clusters, all labels"
        n_images = n_training_images(config)
        return Row(name, setting, LR, n_images, compute, self._known(name))

    def with_default(self, n: int) -> Row:
        """Train as fewlabel does, on labels that it chose."""
        name = f"default-{n}"

        def compute(session: ClusterSession) -> Outcome:
            return learners.default(session, name, n)

        return Row(name, f"{n:,} labels that it chose", DEFAULT, n, compute, beyond=True)

    def is_saved(self, settings: Settings, row: Row, seed: int) -> bool:
        """Return whether the model of a row is saved, or need not be."""
        return ModelStore(settings.save_models).is_saved(f"{row.id}-seed{seed}")

    def _row(
        self,
        name: str,
        setting: str,
        model: str,
        n_labeled: int,
        rows: Callable[[ClusterSession], TrainingSet],
        published: str,
    ) -> Row:
        def compute(session: ClusterSession) -> Outcome:
            return _LEARN[model](session, name, lambda: rows(session))

        return Row(name, setting, model, n_labeled, compute, self._known(published))

    def _known(self, name: str) -> str | None:
        return name if name in self.published else None
