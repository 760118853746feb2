"""The main job without networks, for one label an image and for several."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fewlabel.data import Labels, load_images
from fewlabel.errors import LabelError
from fewlabel.features.near_copies import _ImageGroups
from fewlabel.pipeline import FitSettings, _pool, fit_images
from tests.conftest import NAMES, pictures

PIXELS = FitSettings(features="pixels")


@pytest.mark.parametrize("method", ["auto", "graph", "blend", "supervised"])
def test_it_learns_and_estimates_what_it_reached(example, method):
    result = example.fit(method=method)
    rest = slice(80, None)
    reached = example.truth.task.correct(example.truth.y[rest], result.proba[rest]).mean()
    assert reached > 0.7
    assert result.estimate.low - 0.02 <= reached <= result.estimate.high + 0.02
    assert result.method == method or method == "auto"
    np.testing.assert_array_equal(result.tested, np.arange(80)[np.isin(range(80), result.tested)])
    if method != "auto":
        assert [row.why for row in result.choice.table if row.chosen] == ["asked for"]


def test_given_labels_stand_and_unknown_ones_are_predicted(example, fitted):
    task, labels = fitted.task, example.labels
    given, known = task.evidence(labels.y, len(labels.classes))
    np.testing.assert_array_equal(fitted.proba[known], given[known])
    whole = known.all(axis=1)
    assert set(fitted.origin[whole]) == {"label"}
    assert "label" not in fitted.origin[~whole]
    assert ((fitted.proba[~known] > 0) & (fitted.proba[~known] < 1)).any()


def test_the_audit_is_measured_and_never_trained_on(example):
    purpose = ("train",) * 80 + ("audit",) * 40 + ("",) * (len(example.images) - 120)
    labels = example.known(range(120), purpose)
    y = labels.y.copy()
    y[80:120] = np.roll(y[80:120], 7, axis=0)
    result, other = (example.fit(found, method="graph") for found in (labels, replace(labels, y=y)))
    np.testing.assert_array_equal(result.predicted, other.predicted)
    # The confidence agrees with what the audit has measured, whatever that is.
    sure = result.confidence[result.unlabeled].mean()
    assert sure == pytest.approx(result.audit.value, abs=0.02)
    assert other.confidence[other.unlabeled].mean() < sure - 0.2
    assert result.audit.n == 40
    assert result.audit.is_random_sample
    assert result.audit.value > 0.7 > other.audit.value
    assert (result.origin[80:120] != "label").all()


def test_the_audit_compares_predictions_as_they_are_shown(shapes):
    purpose = ("train",) * 40 + ("audit",) * 40 + ("",) * (len(shapes.images) - 80)
    labels, rows = shapes.known(range(80), purpose), np.arange(40, 80)
    kept, asked = shapes.fit(labels), shapes.fit(labels, method="graph")
    right = kept.task.correct(shapes.truth.y[rows], kept.proba[rows])
    assert (kept.gain.method, asked.gain.method) == ("graph", "graph")
    # The baseline is the same model, whether it is kept or compared with.
    assert kept.choice.name == "supervised"
    assert kept.gain.baseline == asked.gain.baseline == right.mean()
    uncalibrated = kept.task.correct(shapes.truth.y[rows], kept.baseline.proba[rows])
    assert uncalibrated.mean() < kept.gain.baseline


def test_promises_rest_on_random_labels_and_the_audit(example):
    purpose = ("train", "random") * 40 + ("audit",) * 40 + ("",) * (len(example.images) - 120)
    result = example.fit(example.known(range(120), purpose), method="graph")
    assert (
        len(result.model.evidence.correct) == np.isin(result.tested, np.arange(1, 80, 2)).sum() + 40
    )
    rows, summary = result.by_class, result.summary()
    assert all(0 <= row["recall_low"] <= row["recall"] <= row["recall_high"] <= 1 for row in rows)
    promised = summary["accepted_without_a_look"][-1]
    accepted = result.unlabeled & (result.confidence >= promised["threshold"])
    accepted[result.unlike] = False
    assert promised["n_images"] == accepted.sum() > 0
    right = example.truth.task.correct(example.truth.y, result.proba)
    assert right[accepted].mean() >= 0.7
    assert summary["rests_on"].startswith("an audit of 40 random images and the confidence in")
    none = example.fit(method="graph")
    assert none.summary()["accepted_without_a_look"][0]["why_not"].startswith("of no label")
    assert none.by_class[0]["recall_low"] is None


def test_what_more_labels_would_bring_or_why_that_is_unknown(digits):
    result = digits.fit(digits.known(range(60)))
    assert (result.curve.n_now, result.curve.next_n) == (60, 120)
    assert result.curve.shift > 0
    assert result.seconds["curve"] > 0
    few = digits.fit(digits.known(range(14)))
    assert few.curve is None
    assert "from 20 testable labels on" in few.no_curve
    most = digits.fit(digits.known(range(210)))
    assert "there are not twice as many images" in most.no_curve
    # A random sample needs no shift, and an audit narrows the curve.
    drawn = digits.known(range(60), ("random",) * 60 + ("",) * 340)
    assert digits.fit(drawn).curve.shift == 0
    purpose = ("train",) * 60 + ("audit",) * 100 + ("",) * 240
    result = digits.fit(digits.known(range(160), purpose))
    assert result.curve.n_now == 60
    assert result.curve.now.low - 0.05 < result.audit.value < result.curve.now.high + 0.05
    assert result.curve.now.expected == pytest.approx(result.audit.value, abs=0.002)


def test_colors_and_sizes_may_be_mixed(tmp_path):
    X, Y = pictures(60, 9)
    for number, pixels in enumerate(X):
        image = Image.fromarray(pixels)
        if number % 3 == 0:
            image = Image.merge("RGB", [image, image, Image.new("L", (16, 16))]).resize((40, 30))
        image.save(tmp_path / f"{number:02}.png")
    Image.new("L", (16, 16)).save(tmp_path / "empty.png")
    labels = Labels(np.vstack([Y, [[-1] * 3]]).astype(np.int8), NAMES)
    result = fit_images(load_images(tmp_path), labels, PIXELS)
    assert result.proba.shape == (61, 3)
    assert result.origin[-1] != "label"


def test_a_class_with_one_label_does_not_spoil_the_calibration(digits):
    rows = [*np.flatnonzero(digits.truth.y[:200] < 8)[:40], np.flatnonzero(digits.truth.y == 9)[0]]
    result = digits.fit(digits.known(rows))
    assert result.estimate.n_unseen == 1
    accuracy = result.task.correct(digits.truth.y[result.tested], result.tested_proba).mean()
    assert abs(result.task.confidence(result.tested_proba).mean() - accuracy) < 0.2
    assert result.scores["log_loss"] < 1.5


def test_where_no_label_can_be_tested_nothing_is_said_to_be_measured(digits):
    first = [np.flatnonzero(digits.truth.y == code)[0] for code in (0, 1)]
    result = digits.fit(digits.known(first))
    assert set(result.scores.values()) == {None}
    assert result.summary()["candidates"][0]["why"].startswith("could not be tested")


@pytest.mark.parametrize(("n_akin", "n_pool"), [(1, 39), (30, 100)])
def test_the_pool_is_of_other_groups_or_of_tested_labels_where_hardly_any_is(n_akin, n_pool):
    n, tested = 140, np.arange(100)
    labels = Labels(np.where(np.arange(n) < 100, np.arange(n) % 2, -1), ("a", "b"))
    number = np.r_[:100, :n_akin, 100 : n - n_akin]
    proba = np.full((n, 2), 0.5)
    compared = SimpleNamespace(
        tested=tested, kept=SimpleNamespace(name="graph"), oof_proba={"graph": proba[tested]}
    )
    kept = SimpleNamespace(comparison=compared, fitted=SimpleNamespace(proba=proba))
    groups = _ImageGroups(np.arange(n), number, number, np.empty((0, 2), np.int64))
    assert len(_pool(labels, groups, kept)) == n_pool


def test_labels_of_a_single_group_are_refused(digits):
    labels = digits.known(range(20))
    groups = ("a",) * 20 + ("b",) * (len(labels.y) - 20)
    with pytest.raises(LabelError, match="label images of another group"):
        digits.fit(replace(labels, groups=groups))


def test_where_all_images_are_labeled_new_ones_are_like_these(example):
    result = example.fit(example.known(range(len(example.images))), method="graph")
    assert result.estimate.method == "wilson"
    assert result.estimate.low < result.estimate.value < result.estimate.high
    assert result.rests_on.endswith("labels, each predicted by a model that had not seen it")
    assert not [text for text in result.warnings if "at random" in text]
    assert len(result.model.evidence.correct) == len(example.images)
    assert result.by_class[0]["recall_low"] > 0
    assert result.promises[-1].threshold is not None


def test_a_promise_rests_on_images_of_which_all_is_known(shapes):
    labels = shapes.known(range(80), ("random",) * 80 + ("",) * (len(shapes.images) - 80))
    y = labels.y.copy()
    y[:80] = np.where(y[:80] < 0, 0, y[:80])
    y[:40, 1:] = -1
    result = shapes.fit(replace(labels, y=y), method="graph")
    assert 0 < len(result.model.evidence.correct) <= 40 < result.estimate.n


def test_flipped_labels_are_suspicious(digits):
    labels = digits.known(range(50))
    y = labels.y.copy()
    y[[3, 17, 40]] = (y[[3, 17, 40]] + 1) % len(labels.classes)
    result = digits.fit(replace(labels, y=y))
    assert set(result.suspicious.tolist()) == {3, 17, 40}
    assert result.summary()["n_suspicious"] == 3


def test_a_class_that_nobody_labeled_is_unlike_the_others(digits):
    truth, n = digits.truth.y, len(digits.images)
    labels = digits.known(np.flatnonzero(truth != 0)[:80])
    columns = np.flatnonzero(np.arange(len(labels.classes)) != 0)
    labels = replace(
        labels,
        y=np.where(labels.y >= 0, labels.y - 1, -1),
        classes=tuple(labels.classes[k] for k in columns),
    )
    result = digits.fit(labels)
    free = np.setdiff1d(np.arange(n), labels.labeled)
    found = np.isin(free, result.unlike)
    assert found[truth[free] == 0].mean() > found[truth[free] > 0].mean() + 0.3
    assert result.summary()["unlike"]["n_images"] == found.sum()
    assert "unlike anything labeled" in result.unlike_in_words
