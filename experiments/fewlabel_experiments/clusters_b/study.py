"""Study B: logistic regression and a seven-layer network, up to 2,000 clusters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import figures
from ..clusters.learners import LR, NET
from ..clusters.rows import ClusterStudy
from ..clusters_a.study import STUDY as STUDY_A
from ..protocol import Row, Settings
from ..summary import RowSummary, read_ours

_ALL = 60_000
_PERCENTILES_FROM = 77.0


class ClustersB(ClusterStudy):
    """The study of 500 to 2,000 clusters with two models."""

    def rows(self, config: dict[str, Any]) -> list[Row]:
        """Return the rows in the order of the table."""
        rows = [self.on_all(config, LR)]
        rows += [self.on_distances(config, n) for n in config["distances"]]
        rows += self._few_labels(config, LR)
        rows += [self.on_all(config, NET), *self._few_labels(config, NET)]
        return rows + [self.with_default(n) for n in config["default"]]

    def _few_labels(self, config: dict[str, Any], model: str) -> list[Row]:
        budgets = config["budgets"]
        rows = [self.on_random(model, n) for n in budgets]
        for n in budgets:
            rows += self.on_representatives(model, n)
        rows += [self.on_spread(model, n, 100) for n in budgets]
        rows += [self.on_spread(model, n, 25) for n in budgets]
        curve = [p for p in config["percentiles"] if p != 25]
        return rows + [self.on_spread(model, budgets[-1], p) for p in curve]

    def figures(self, summaries: Sequence[RowSummary], folder: Path) -> list[Path]:
        """Draw accuracy against the number of labels, and against the percentile."""
        return [
            _labels_figure(summaries, folder / "clusters-b-labels.svg"),
            _percentile_figure(summaries, folder / "clusters-b-percentiles.svg"),
        ]


def _with_study_a(summaries: Sequence[RowSummary]) -> list[RowSummary]:
    """Add the rows of study A up to 300 labels, where a run is as large as that study's."""
    own = {s.row.id: s for s in summaries}
    whole = own["lr-all"]
    if whole.published is None or whole.row.n_labeled != _ALL:
        return list(summaries)
    rows = STUDY_A.rows(STUDY_A.config(Settings()))
    return [*summaries, *(s for s in read_ours(STUDY_A, rows) if s.row.id not in own)]


def _labels_figure(summaries: Sequence[RowSummary], path: Path) -> Path:
    summaries = _with_study_a(summaries)

    def ids(start: str, ending: str) -> dict[str, float]:
        return {
            s.row.id: s.row.n_labeled
            for s in summaries
            if s.row.id.startswith(start) and s.row.id.endswith(ending)
        }

    curves = [figures.measured("default", summaries, ids("default-", ""), figures.GREEN)]
    for model, colors in (
        ("LR", (figures.BLUE, figures.RED)),
        ("network", (figures.PURPLE, figures.YELLOW)),
    ):
        for ending, color in zip(("-medoids", "-random"), colors, strict=True):
            rows = ids(f"{model.lower()}-", ending)
            label = f"{model}, {ending[1:]}"
            published = label.replace("medoids", "representatives") + " (published)"
            curves.append(figures.measured(label, summaries, rows, color))
            curves.append(figures.measured(published, summaries, rows, color, published=True))
    levels = [
        (s.published, "network, all labels (published)")
        for s in summaries
        if s.row.id == "network-all" and s.published is not None
    ]
    return figures.draw(path, curves, xlabel="labels", logarithmic=True, levels=levels)


def _percentile_figure(summaries: Sequence[RowSummary], path: Path) -> Path:
    most = max(s.row.n_labeled for s in summaries if "label spread to" in s.row.setting)
    curves = []
    for model, name, color in ((LR, "LR", figures.BLUE), (NET, "network", figures.PURPLE)):
        rows = {
            s.row.id: float(s.row.id.rpartition("nearest")[2] or 100)
            if "nearest" in s.row.id
            else 100.0
            for s in summaries
            if s.row.model == model
            and s.row.n_labeled == most
            and "label spread to" in s.row.setting
        }
        curves.append(figures.measured(name, summaries, rows, color))
        published = f"{name} (published)"
        curves.append(figures.measured(published, summaries, rows, color, published=True))
    xlabel = f"nearest share of each of {most:,} clusters, %"
    # From about 10 % up the other curves would be one line.
    return figures.draw(path, curves, xlabel=xlabel, bottom=_PERCENTILES_FROM)


STUDY = ClustersB(
    "clusters-b", "Clusters, logistic regression and a 7-layer network", Path(__file__).parent
)
