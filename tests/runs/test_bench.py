import numpy as np
import pytest
from PIL import Image

from fewlabel.data import labels_from_truth, load_benchmark
from fewlabel.errors import UsageError
from fewlabel.evaluate import expected_calibration_error
from fewlabel.runs import bench
from fewlabel.runs.bench import _run_bench

QUICK = {"features": "pixels", "n_images": 300, "seed": 3}


@pytest.fixture
def fitted(monkeypatch):
    """Images and models of the fits, as they are made."""
    fitted, fit_images = [], bench.fit_images

    def fit(images, *args, **kwargs):
        result = fit_images(images, *args, **kwargs)
        fitted.append((images, result.model))
        return result

    monkeypatch.setattr(bench, "fit_images", fit)
    return fitted


def test_one_run_is_measured_on_images_that_were_never_seen(fitted):
    record = _run_bench("digits", n_labeled=40, selection="random", **QUICK)
    assert record["n_images"] == 300
    assert record["n_test"] == 500
    assert 0.5 < record["supervised_accuracy"] <= 1
    assert 0.5 < record["accuracy"] <= 1
    assert record["main_accuracy"] == record["accuracy"]
    assert set(record["seconds"]) > {"features", "select", "fit", "predict", "total"}
    test, (_, model) = load_benchmark("digits", "test"), fitted[0]
    predicted = model.predict(test)
    right = predicted.label == labels_from_truth(test, model.classes).y
    assert record["accuracy"] == right.mean()
    assert record["mean_confidence"] == pytest.approx(predicted.confidence.mean())
    gap = expected_calibration_error(right, predicted.confidence)
    assert record["expected_calibration_error"] == pytest.approx(gap)
    assert record == _run_bench("digits", n_labeled=40, selection="random", **QUICK) | {
        name: record[name] for name in ("seconds", "peak_rss_mb")
    }


def test_a_quarter_of_a_tree_without_splits_is_held_out(fitted, tmp_path, monkeypatch):
    monkeypatch.setenv("FEWLABEL_DATA", str(tmp_path))
    rng = np.random.default_rng(0)
    for k in range(80):
        photo = tmp_path / "eurosat" / ("Forest", "River")[k % 2] / f"{k}.jpg"
        photo.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(k % 2 * 60, 200, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photo)
    record = _run_bench("eurosat", n_labeled=10, selection="random", features="pixels")
    assert (record["n_images"], record["n_test"]) == (60, 20)
    assert sum(name.startswith("Forest") for name in fitted[0][0].names) == 30


def test_more_labels_than_images_are_refused():
    with pytest.raises(UsageError, match="301 labels are asked for, but there are 300"):
        _run_bench("digits", n_labeled=301, **QUICK)
