import pytest

from fewlabel.errors import UsageError
from fewlabel.runs.bench import run_bench

QUICK = {"features": "pixels", "n_images": 300, "seed": 3}


def test_one_run_is_measured_on_images_that_were_never_seen():
    record = run_bench("digits", n_labeled=40, selection="random", **QUICK)
    assert record["n_images"] == 300
    assert record["n_test"] == 500
    assert 0.5 < record["supervised_accuracy"] <= 1
    assert 0.5 < record["accuracy"] <= 1
    assert record["main_accuracy"] == record["accuracy"]
    assert set(record["seconds"]) > {"features", "select", "fit", "predict", "total"}
    assert record == run_bench("digits", n_labeled=40, selection="random", **QUICK) | {
        name: record[name] for name in ("seconds", "peak_rss_mb")
    }


def test_more_labels_than_images_are_refused():
    with pytest.raises(UsageError, match="301 labels are asked for, but there are 300"):
        run_bench("digits", n_labeled=301, **QUICK)
