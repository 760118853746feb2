from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fewlabel_experiments import registry, summary, wording
from fewlabel_experiments.protocol import Settings

B = registry.find_study("clusters-b")
ROWS = B.rows(B.config(Settings()))


def _summaries(**accuracies: float) -> list[Any]:
    """Summaries of study B with these accuracies; underscores stand for hyphens."""
    records = [
        {
            "row": name.replace("_", "-"), "seed": 0, "accuracy": value / 100, "seconds": 1.0,
            "shared": {}, "peak_mb": 1.0, "commit": "x",
            "extra": {"n_train": 12_000.0, "label_precision": 0.88},
        }
        for name, value in accuracies.items()
    ]  # fmt: skip
    return summary.summarise(B, ROWS, records)


def test_the_best_reading_of_a_published_row_counts() -> None:
    found = wording.within(_summaries(lr_2000_medoids=78, lr_2000_centroids=81, lr_all=80), 1.5)
    assert found == [
        "Logistic regression: 1 of 2 published figures are reached within 1.5 points or passed; "
        "not `lr-all` (-4.1)."
    ]


def test_the_two_readings_are_compared_by_model() -> None:
    found = wording.readings(_summaries(lr_500_medoids=78, lr_500_centroids=77.5))
    assert len(found) == 1
    assert found[0].startswith("Medoids less centroids, points of logistic regression: +0.5 at 500")


def test_what_spreading_brought() -> None:
    found = wording.spreads(_summaries(lr_2000_medoids=80, lr_2000_nearest25=81, lr_2000_whole=79))
    assert found == [
        "Spread labels less the medoids alone, points of logistic regression (share of right "
        "labels): 2,000 clusters, whole: -1.0 (88 %); 2,000 clusters, 25 %: +1.0 (88 %)."
    ]


def test_a_collapse_is_told_from_none() -> None:
    (fine,) = wording.collapse(
        _summaries(network_2000_nearest20=79, lr_2000_nearest20=80), "network-2000-nearest20"
    )
    assert "does not happen: no seed is below 79.0 %" in fine
    assert "12,000 images carry a label and 88.0 % of these labels are right" in fine
    assert "logistic regression reaches 80.0 %" in fine
    (fallen,) = wording.collapse(_summaries(network_2000_nearest20=10), "network-2000-nearest20")
    assert "happens here: 10.0 %" in fallen
    assert wording.collapse(_summaries(), "network-2000-nearest20") == []


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ({50: 82.3, 100: 84.0}, "with 50 labels: 82.3 %."),
        ({50: 80.0, 100: 81.4, 200: 85.0}, "with 200 labels: 85.0 %."),
        ({50: 80.0, 100: 81.4}, "does not reach"),
    ],
)
def test_the_fewest_labels_that_reach_a_figure(accuracies: dict[int, float], expected: str) -> None:
    found = _summaries(**{f"default_{n}": value for n, value in accuracies.items()})
    (sentence,) = wording.reaches(found, B.published["lr-2000-representatives"])
    assert expected in sentence
    assert "published 81.46 % (representatives of 2,000 clusters, logistic regression)" in sentence


def test_nothing_is_claimed_without_a_measurement() -> None:
    assert B.sentences(_summaries()) == []


def test_the_figures_are_drawn_and_do_not_change(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    accuracies = {row.id.replace("-", "_"): float(rng.uniform(70, 90)) for row in ROWS}
    drawn = B.figures(_summaries(**accuracies), tmp_path)
    assert [path.name for path in drawn] == ["clusters-b-labels.svg", "clusters-b-percentiles.svg"]
    first = [path.read_bytes() for path in drawn]
    B.figures(_summaries(**accuracies), tmp_path)
    assert [path.read_bytes() for path in drawn] == first
    assert all(content.startswith(b"<?xml") for content in first)


def test_figures_of_what_was_published_alone_can_be_drawn(tmp_path: Path) -> None:
    assert all(path.is_file() for path in B.figures(_summaries(), tmp_path))
