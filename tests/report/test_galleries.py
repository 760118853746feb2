import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fewlabel.data import Labels, load_images
from fewlabel.evaluate.outliers import _alarm_threshold
from fewlabel.report.galleries import (
    _SIZE,
    _accepted_galleries,
    _choose_spread,
    _evaluation_galleries,
    _fit_galleries,
)
from fewlabel.report.pictures import _gallery, _picture, _read_whole
from fewlabel.semisupervised.history import AcceptedLabels, TrainingHistory

from .examples import TASKS, fit_result, images, scored


def pixels(side=28, channels=1):
    return np.random.default_rng(0).integers(0, 256, (side, side, channels), dtype=np.uint8)


def test_pictures():
    item = _picture(pixels(), "a/very/long/folder/IMG_0042.jpg", "coat", 0.5)
    assert item["alt"] == "a/very/long/folder/IMG_0042.jpg: coat"
    assert len(item["short"]) == 16
    assert item["short"].endswith("042.jpg")
    pair = _picture(pixels(), "a", "coat", beside=pixels(channels=3))
    assert pair["beside"].startswith("data:image/png")
    assert pair["beside"] != pair["uri"]
    assert _gallery("", "", [item, pair])["paired"]
    assert _gallery("", "", [item])["tiny"]
    assert not _gallery("", "", [item, _picture(pixels(100), "b", "coat")])["tiny"]


@pytest.mark.parametrize("task", TASKS)
def test_the_galleries_of_a_fit(task):
    result = fit_result(task, unlike_scores=np.arange(200.0))
    result.model.novelty = SimpleNamespace(alarms=_alarm_threshold(np.arange(150, 190)))
    found = {g["title"]: g["pictures"] for g in _fit_galleries(result, images())}
    rows = {title: [int(p["name"]) for p in pictures] for title, pictures in found.items()}
    missed = rows["Labeled images that were predicted otherwise"]
    wrong = ~task.correct(result.labels.y[:60], result.tested_proba)
    assert len(missed) == min(wrong.sum(), _SIZE)
    assert wrong[missed].all()
    assert (np.diff(result.label_probability[missed]) >= 0).all()
    # Of forty labels the threshold is the second largest.
    assert rows["Unlike anything labeled"] == list(range(199, 188, -1))
    given = task.texts(result.labels.y[missed], result.classes)
    shown = found["Labeled images that were predicted otherwise"]
    words = [t.replace("|", " | ").strip(" |") or "none" for t in given]
    assert [p["label"] for p in shown] == words
    assert shown[0]["note"].startswith("predicted: ")
    assert not set(missed) & set(rows["Labeled images"])
    least = rows["Least confident"]
    assert result.confidence[least[0]] == result.confidence[60:].min()
    assert min(least + rows["What to label next"] + rows["Most confident"]) >= 60
    assert len(rows["What to label next"]) == 12
    differ = found["Graph and supervised baseline disagree"]
    assert all(picture["note"].startswith("supervised: ") for picture in differ)


def test_no_more_labels_are_called_suspicious_than_are_shown():
    result = fit_result()
    wrong = np.eye(3)[(result.labels.y[:60] + 1) % 3]
    galleries = _fit_galleries(dataclasses.replace(result, tested_proba=wrong), images())
    assert f"Suspicious: the first {_SIZE}." in galleries[2]["caption"]
    assert len(galleries[2]["pictures"]) == _SIZE


@pytest.mark.parametrize("task", TASKS)
def test_the_galleries_of_an_evaluation(task):
    one = scored(task, n=90)
    (worst, least), mistakes = _evaluation_galleries(one, images(90), ["a", "b", "c"])
    rows = [int(picture["name"]) for picture in worst["pictures"]]
    assert not one.correct[rows].any()
    assert (np.diff(one.confidence[rows]) <= 0).all()
    assert [row["name"] for row in mistakes] == [str(row) for row in rows[:15]]
    assert all(picture["note"].startswith("true: ") for picture in least["pictures"])


def test_pseudo_labels_of_all_classes_and_the_least_confident():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 5, 500)
    confidence = np.where(codes == 0, 0.99, 0.6) + 0.01 * rng.random(500)
    chosen = _choose_spread(codes, confidence)
    assert len(set(chosen.tolist())) == _SIZE
    assert (np.diff(confidence[chosen]) <= 0).all()
    top, least = chosen[: _SIZE // 2], chosen[_SIZE // 2 :]
    assert set(codes[top]) == set(range(5))
    assert set(least) == set(np.argsort(confidence)[: _SIZE // 2])
    assert sorted(_choose_spread(codes[:7], confidence[:7])) == list(range(7))


def test_pseudo_labels_of_some_rounds_say_what_changed():
    history = TrainingHistory(classes=("no", "yes"))
    for number in range(1, 8):
        rows = np.arange(number if number != 1 else 0)
        codes, confidence = np.zeros(len(rows), int), np.full(len(rows), 0.8)
        history.accepted.append(AcceptedLabels("network", number, rows, codes, confidence))
    galleries = _accepted_galleries(history, images(40), ["no", "yes"] * 20)
    # Round 1 accepted nothing.
    assert [gallery["title"][-1] for gallery in galleries] == ["2", "4", "5", "7"]
    first = galleries[0]["pictures"]
    assert [item["note"] for item in first] == ["", "in the end: yes"]
    assert [item["name"] for item in first] == ["0", "1"]
    assert first[0]["label"] == "no"
    assert galleries[0]["caption"] == "All 2 of this round."
    assert _accepted_galleries(None, images(40), []) == []
    sure = AcceptedLabels("n", 1, np.arange(30), np.zeros(30, int), np.r_[0.57, np.full(29, 0.996)])
    history = dataclasses.replace(history, accepted=[sure])
    (gallery,) = _accepted_galleries(history, images(40), ["no"] * 40)
    assert "30 images, half of them at least 99 % sure, all at least 57 %." in gallery["caption"]


@pytest.mark.parametrize("task", TASKS)
def test_mistakes_on_the_audit_have_both_labels(task):
    result = fit_result(task)
    y = result.labels.y.copy()
    y[60:80] = np.roll(task.predict(result.proba[60:80]), 1, axis=0)
    labels = Labels(y, result.classes, ("train",) * 60 + ("audit",) * 20 + ("",) * 120)
    first = dataclasses.replace(result, labels=labels, audited=np.arange(60, 80))
    first = _fit_galleries(first, images())[0]
    rows = [int(picture["name"]) for picture in first["pictures"]]
    wrong = 60 + np.flatnonzero(~task.correct(y[60:80], result.proba[60:80]))
    assert first["title"] == "Mistakes on the audit"
    assert set(rows) <= set(wrong)
    assert len(rows) == min(len(wrong), _SIZE)
    assert first["pictures"][0]["note"].startswith("predicted: ")


def test_the_most_confident_are_of_all_classes_in_turn():
    result = fit_result(n_classes=5)
    (found,) = (g for g in _fit_galleries(result, images()) if g["title"] == "Most confident")
    rows = [int(picture["name"]) for picture in found["pictures"]]
    assert set(result.predicted[rows[:5]]) == set(range(5))
    for row in rows[:5]:
        same = np.flatnonzero(result.predicted[60:] == result.predicted[row]) + 60
        assert result.confidence[row] == result.confidence[same].max()


def test_photos_are_shown_whole_whatever_their_shape(tmp_path):
    for name, size in [("a.png", (416, 208)), ("b.png", (100, 416)), ("c.png", (60, 30))]:
        Image.new("RGB", size, "red").save(tmp_path / name)
    found = _read_whole(load_images(tmp_path), np.array([2, 0, 1]))
    assert [image.shape for image in found] == [(30, 60, 3), (104, 208, 3), (208, 50, 3)]
