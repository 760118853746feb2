import json

import numpy as np


def test_the_summary_is_json_and_names_the_baseline_and_the_choice(fitted):
    summary = fitted.summary()
    json.dumps(summary, allow_nan=False)
    assert (summary["task"], summary["metric"]) == (fitted.task.name, fitted.task.metric)
    assert summary["n_labeled"] == 80
    names = [row["name"] for row in summary["candidates"]]
    assert "supervised" in names
    assert [row["name"] for row in summary["candidates"] if row["chosen"]] == [summary["method"]]
    assert 0 <= summary["supervised_accuracy"] <= 1
    assert summary["estimate"]["low"] < summary["estimate"]["value"] <= summary["estimate"]["high"]
    assert "None of the labeled images is known to be drawn at random" in summary["warnings"][-1]


def test_the_baseline_predicts_all_images(fitted, example):
    proba = fitted.supervised_proba()
    assert proba.shape == fitted.proba.shape
    assert fitted.task.correct(example.truth.y[80:], proba[80:]).mean() > 0.5


def test_predictions_and_confidence_come_from_the_probabilities(fitted):
    np.testing.assert_array_equal(fitted.predicted, fitted.task.predict(fitted.proba))
    np.testing.assert_array_equal(fitted.confidence, fitted.task.confidence(fitted.proba))
