"""``fewlabel reproduce clusters-a --quick`` and ``clusters-b``: within honest noise."""

import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from fewlabel_experiments.protocol import Settings
from fewlabel_experiments.registry import find_study
from fewlabel_experiments.runner import run_study

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif("FEWLABEL_DATA" not in os.environ, reason="FEWLABEL_DATA is not set"),
]

BOUNDS = {
    "clusters-a": {
        "lr-all": (80.5, 83.5), "lr-300-random": (71, 78), "lr-50-medoids": (63, 72),
        "lr-100-medoids": (67, 74.5), "lr-200-medoids": (72, 78), "lr-300-medoids": (73, 78.5),
        "lr-300-centroids": (72, 78), "lr-300-whole": (71.5, 77.5),
        "lr-300-nearest75": (71.5, 77.5), "default-50": (77, 84), "default-300": (84, 88),
    },
    "clusters-b": {
        "lr-all": (80.5, 83.5), "lr-100-distances": (77, 84), "lr-300-distances": (78, 85),
        "lr-500-random": (74, 80), "lr-2000-random": (78.5, 83), "lr-2000-medoids": (77.5, 82),
        "lr-2000-whole": (77.5, 82), "lr-2000-nearest25": (77.5, 82), "network-all": (83, 88),
        "network-500-random": (72, 81), "network-2000-random": (79.5, 85),
        "network-500-medoids": (73, 82), "network-2000-medoids": (79.5, 85),
        "network-2000-centroids": (79, 85), "network-2000-whole": (79, 85),
        "network-2000-nearest25": (79, 85), "default-500": (84, 89), "default-2000": (87, 91),
    },
}  # fmt: skip


@cache
def _means(name):
    with TemporaryDirectory() as folder:
        result = run_study(find_study(name), Settings(quick=True), Path(folder) / "run")
        assert all(path.is_file() for path in result.files)
    return {s.row.id: s.mean for s in result.summaries if s.mean is not None}


@pytest.mark.parametrize(
    ("study", "row", "least", "most"),
    [(study, row, *bounds) for study, rows in BOUNDS.items() for row, bounds in rows.items()],
)
def test_a_row_is_where_it_should_be(study, row, least, most):
    assert least < _means(study)[row] < most


def test_the_default_is_far_ahead_at_the_same_labels():
    means = _means("clusters-a")
    assert means["default-50"] > means["lr-50-medoids"] + 8
    assert means["default-300"] > means["lr-all"]


def test_no_network_collapses():
    means = _means("clusters-b")
    assert min(mean for row, mean in means.items() if row.startswith("network")) > 60
