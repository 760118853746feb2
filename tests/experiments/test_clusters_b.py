"""``fewlabel reproduce clusters-b --quick``: within honest noise of what it should give."""

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
    study = registry.find_study("clusters-b")
    settings = protocol.Settings(quick=True)
    out = tmp_path_factory.mktemp("clusters-b") / "run"
    result: Any = runner.run_study(study, settings, out)
    assert all(path.is_file() for path in result.files)
    return {s.row.id: s.mean for s in result.summaries}


@pytest.mark.parametrize(
    ("row", "least", "most"),
    [
        ("lr-all", 80.5, 83.5),
        ("lr-100-distances", 77, 84),
        ("lr-300-distances", 78, 85),
        ("lr-500-random", 74, 80),
        ("lr-2000-random", 78.5, 83),
        ("lr-2000-medoids", 77.5, 82),
        ("lr-2000-whole", 77.5, 82),
        ("lr-2000-nearest25", 77.5, 82),
        ("network-all", 83, 88),
        ("network-500-random", 72, 81),
        ("network-2000-random", 79.5, 85),
        ("network-500-medoids", 73, 82),
        ("network-2000-medoids", 79.5, 85),
        ("network-2000-centroids", 79, 85),
        ("network-2000-whole", 79, 85),
        ("network-2000-nearest25", 79, 85),
        ("default-500", 84, 89),
        ("default-2000", 87, 91),
    ],
)
def test_a_row_is_where_it_should_be(
    means: dict[str, float], row: str, least: float, most: float
) -> None:
    assert least < means[row] < most


def test_no_network_collapses(means: dict[str, float]) -> None:
    assert min(mean for row, mean in means.items() if row.startswith("network")) > 60
