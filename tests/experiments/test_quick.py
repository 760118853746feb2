"""``fewlabel reproduce NAME --quick``: every study, within honest noise."""

import os
import time

import pytest

from fewlabel_experiments.photos.curves import read_means
from fewlabel_experiments.photos.session import weights_file
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
    # Twenty photos are held out: a photo is five points.
    "photos": {
        "scratch": (0, 55), "probe": (40, 100), "default-random": (30, 100),
        "fine-tuned-random": (40, 100), "self-training-random": (40, 100),
        "fine-tuned-selected": (40, 100), "self-training-selected": (40, 100),
        "default-selected": (40, 100), "best-selected": (40, 100),
    },
}  # fmt: skip


# Of the processor: other work on the machine must not fail the test.
MAX_SECONDS = 120


def _run(name, folder):
    start = time.process_time()
    result = run_study(find_study(name), Settings(quick=True), folder)
    assert time.process_time() - start < MAX_SECONDS
    assert all(path.is_file() for path in result.files)
    return {s.row.id: s for s in result.summaries if s.mean is not None}, {
        path.name for path in result.files
    }


# A quick run has neither the labels nor the time for networks, and says so.
@pytest.mark.filterwarnings("ignore:.*o networks are trained")
@pytest.mark.parametrize("study", BOUNDS)
def test_every_row_is_where_it_should_be(study, tmp_path):
    if study == "photos" and weights_file(find_study(study).config(Settings(quick=True))) is None:
        pytest.skip("no weights are in the folder models beside FEWLABEL_DATA")
    found, files = _run(study, tmp_path)
    means = {name: s.mean for name, s in found.items()}
    wrong = {row: means[row] for row, (a, b) in BOUNDS[study].items() if not a <= means[row] <= b}
    assert not wrong
    # The default is far ahead at the same labels.
    if study == "clusters-a":
        assert means["default-50"] > means["lr-50-medoids"] + 8
        assert means["default-300"] > means["lr-all"]
    # No network collapses.
    if study == "clusters-b":
        assert min(mean for row, mean in means.items() if row.startswith("network")) > 60
    if study == "photos":
        assert {"photos-rows.svg", "photos-curves.svg", *find_study(study).pictures} <= files
        assert read_means(tmp_path / "training.csv", "loss").keys() >= {"scratch"}


def test_combo(tmp_path):
    found, files = _run("combo", tmp_path)
    study = find_study("combo")
    assert list(found) == study.config(Settings(quick=True))["rows"]
    assert found["structure"].extra["digit"] > found["cnn"].extra["digit"]
    for name in ("best-alone", "best-ensemble", "best-distilled", "best"):
        assert 30 < found[name].extra["digit"] < 95
        assert found[name].mean == pytest.approx(found[name].extra["pair"], abs=0.01)
    assert found["best"].mean == found["best-distilled"].mean
    assert files >= {*study.pictures, "combo-rows.svg"}


def test_experts(tmp_path):
    found, files = _run("experts", tmp_path)
    found = {row.removeprefix("fashion-mnist-200-"): s for row, s in found.items()}
    assert set(found) == {
        "supervised", "ova", "ova-over", "ova-under", "own", "experts-1", "experts", "default",
    }  # fmt: skip
    assert 72 < found["default"].mean < 90
    for name in ("supervised", "ova-over", "own", "experts"):
        assert 40 < found[name].mean < 85
    experts, ova = found["experts-1"].extra, found["ova"].extra
    assert ova["kilobytes"] > 4 * experts["kilobytes"]
    assert ova["train_seconds"] > 2 * experts["train_seconds"]
    assert experts["precision_covered"] > 70
    assert "experts-fashion-mnist.svg" in files
