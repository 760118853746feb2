"""``fewlabel reproduce clusters-a --quick``: within honest noise of what it should give."""

from __future__ import annotations

import os
from typing import Any

import pytest

from fewlabel_experiments import protocol, registry, runner

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif("FEWLABEL_DATA" not in os.environ, reason="FEWLABEL_DATA is not set"),
]


@pytest.fixture(scope="module")
def means(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    study = registry.find_study("clusters-a")
    settings = protocol.Settings(quick=True)
    out = tmp_path_factory.mktemp("clusters-a") / "run"
    result: Any = runner.run_study(study, settings, out)
    assert all(path.is_file() for path in result.files)
    return {s.row.id: s.mean for s in result.summaries}


@pytest.mark.parametrize(
    ("row", "least", "most"),
    [
        ("lr-all", 80.5, 83.5),
        ("lr-300-random", 71, 78),
        ("lr-50-medoids", 63, 72),
        ("lr-100-medoids", 67, 74.5),
        ("lr-200-medoids", 72, 78),
        ("lr-300-medoids", 73, 78.5),
        ("lr-300-centroids", 72, 78),
        ("lr-300-whole", 71.5, 77.5),
        ("lr-300-nearest75", 71.5, 77.5),
        ("default-50", 77, 84),
        ("default-300", 84, 88),
    ],
)
def test_a_row_is_where_it_should_be(
    means: dict[str, float], row: str, least: float, most: float
) -> None:
    assert least < means[row] < most


def test_the_default_is_far_ahead_at_the_same_labels(means: dict[str, float]) -> None:
    assert means["default-50"] > means["lr-50-medoids"] + 8
    assert means["default-300"] > means["lr-all"]
