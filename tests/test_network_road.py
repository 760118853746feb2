"""The longer road of graph and network."""

import numpy as np
import pytest

from fewlabel import network_road
from fewlabel.classifier import FewLabelClassifier
from fewlabel.data import labels_from_truth, load_images
from fewlabel.features.pixels import Pixels
from fewlabel.network_road import follow_network_road, read_small
from fewlabel.selftrain.graph_student import StudentSettings

QUICK = StudentSettings("cnn", n_steps=45, batch_size=64, augment="weak")


@pytest.fixture(scope="module")
def digits():
    images = load_images("digits")
    return images.subset(range(900)), images.subset(range(900, 1797))


@pytest.fixture(scope="module")
def main(digits):
    images, _ = digits
    truth = labels_from_truth(images).y
    y = np.where(np.arange(900) % 5 == 0, truth, -1)
    base = Pixels(n_components=32, random_state=0).fit(images)
    rows = base.transform(images)
    return y, base, rows, FewLabelClassifier(random_state=0).fit(rows, y)


def follow(digits, main, **settings):
    images, _ = digits
    y, base, rows, classifier = main
    groups = np.arange(len(images))
    settings = {"time_budget": 1.0, "settings": QUICK} | settings
    return follow_network_road(images, y, classifier, base, rows, groups=groups, **settings)


@pytest.fixture(scope="module")
def road(digits, main):
    return follow(digits, main)


def test_it_predicts_images_that_it_never_saw(road, digits):
    _, test = digits
    rows = road.extractor.transform(test)
    assert road.classifier.score(rows, labels_from_truth(test).y) > 0.92


def test_the_estimate_rests_on_the_labels_of_one_fold(road, main):
    y, _, _, classifier = main
    held = classifier.folds_.folds[0][1]
    assert road.classifier.folds_.labeled.tolist() == held.tolist()
    predicted = classifier.classes_[road.classifier.cross_fitted_.argmax(1)]
    scores = {row.name: row.accuracy for row in road.choice.table}
    assert scores["network"] == pytest.approx(np.mean(predicted == y[held]))
    position = np.searchsorted(classifier.folds_.labeled, held)
    alone = classifier.classes_[classifier.cross_fitted_[position].argmax(1)]
    assert scores[classifier.method_] == pytest.approx(np.mean(alone == y[held]))
    assert road.helped == (scores["network"] == max(scores.values()))
    assert road.classifier.supervised_cross_fitted_.shape == (len(held), 10)


def test_held_out_labels_never_reach_a_network(digits, main, monkeypatch):
    y, _, _, classifier = main
    held = classifier.folds_.folds[0][1]
    seen = []
    train = network_road.train_student

    def watched(pixels, proba, codes, settings, **rest):
        seen.append(codes)
        return train(pixels, proba, codes, settings, **rest)

    monkeypatch.setattr(network_road, "train_student", watched)
    follow(digits, main)
    assert (seen[0][held] == -1).all()
    assert (seen[0] >= 0).sum() == (y >= 0).sum() - len(held)
    np.testing.assert_array_equal(seen[-1], y)


def test_the_time_budget_ends_the_rounds(digits, main, monkeypatch):
    short = follow(digits, main, time_budget=0.001)
    assert len(short.history) == 1
    monkeypatch.setattr(network_road, "_MOST_ROUNDS", 2)
    long = follow(digits, main, time_budget=600.0)
    assert len(long.history) == 2
    best = int(np.argmax([record["accuracy"] for record in long.history]))
    assert long.n_rounds == best + 1 == len(long.extractor.networks)


def test_too_few_labels_to_hold_some_out(digits, main):
    images, _ = digits
    y, base, rows, _ = main
    few = np.where(np.cumsum(y >= 0) <= 100, y, -1)
    classifier = FewLabelClassifier(random_state=0).fit(rows, few)
    groups = np.arange(len(images))
    road = follow_network_road(
        images, few, classifier, base, rows, groups=groups, time_budget=1.0, settings=QUICK
    )
    assert road is None


def test_given_labels_stay_certain(road, main):
    y = main[0]
    labeled = np.flatnonzero(y >= 0)
    proba = road.classifier.label_distributions_
    assert (proba[labeled, y[labeled]] == 1).all()
    np.testing.assert_allclose(proba.sum(1), 1)


def test_large_images_are_read_at_64_pixels(tmp_path):
    from PIL import Image

    for number in range(2):
        Image.new("RGB", (100, 80), (number * 90, 10, 10)).save(tmp_path / f"{number}.png")
    assert read_small(load_images(tmp_path)).shape == (2, 64, 64, 3)
    assert read_small(load_images("digits").subset([0, 1])).shape == (2, 8, 8)
