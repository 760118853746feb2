"""Study A: logistic regression on the representatives of 50 to 300 clusters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import figures
from ..clusters.learners import LR
from ..clusters.rows import ClusterStudy
from ..protocol import Row
from ..summary import RowSummary


class ClustersA(ClusterStudy):
    """The study of 50 to 300 clusters."""

    def rows(self, config: dict[str, Any]) -> list[Row]:
        """Return the rows in the order of the table."""
        rows = [self.on_all(config, LR)]
        rows += [self.on_random(LR, n) for n in config["random"]]
        for n_clusters in config["clusters"]:
            rows += self.on_representatives(LR, n_clusters)
        rows += [
            self.on_spread(LR, config["spread_clusters"], percentile)
            for percentile in config["percentiles"]
        ]
        return rows + [self.with_default(n) for n in config["default"]]

    def figures(self, summaries: Sequence[RowSummary], folder: Path) -> list[Path]:
        """Draw accuracy against the number of labels."""
        labels = {s.row.id: float(s.row.n_labeled) for s in summaries if s.row.id != "lr-all"}

        def ids(ending: str) -> dict[str, float]:
            return {name: n for name, n in labels.items() if name.endswith(ending)}

        medoids, default = ids("-medoids"), {n: x for n, x in labels.items() if "default" in n}
        curve = figures.measured
        curves = [
            curve("default", summaries, default, figures.GREEN),
            curve("LR, medoids", summaries, medoids, figures.BLUE),
            curve("LR, centroids", summaries, ids("-centroids"), figures.PURPLE),
            curve("LR, random", summaries, ids("-random"), figures.RED),
            curve("LR, representatives (published)", summaries, medoids, figures.BLUE,
                  published=True),
            curve("LR, random (published)", summaries, ids("-random"), figures.RED,
                  published=True),
        ]  # fmt: skip
        levels = [
            (s.published, "LR, all labels (published)")
            for s in summaries
            if s.row.id == "lr-all" and s.published is not None
        ]
        path = folder / "clusters-a-labels.svg"
        return [figures.draw(path, curves, xlabel="labels", logarithmic=True, levels=levels)]


STUDY = ClustersA("clusters-a", "Clusters with 60,000 images", Path(__file__).parent)
