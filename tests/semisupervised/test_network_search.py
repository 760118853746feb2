"""The longer road of graph and network."""

import re
from dataclasses import replace

import numpy as np
import pytest

from fewlabel.data import labels_from_truth, load_images
from fewlabel.errors import UsageError
from fewlabel.features.pixels import Pixels
from fewlabel.graph import FewLabelClassifier
from fewlabel.semisupervised import network_search as road_module
from fewlabel.semisupervised import strategies as ways
from fewlabel.semisupervised.graph_student import StudentSettings
from fewlabel.semisupervised.kept_networks import KeptNetworks
from fewlabel.semisupervised.network_inputs import read_pixels
from fewlabel.semisupervised.network_search import (
    RoadClosed,
    follow_network_road,
    student_settings,
)

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
    settings = {"time_budget": 60.0, "settings": QUICK, "method": "network"} | settings
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


@pytest.mark.parametrize("method", ["network", "self-training", "consistency"])
def test_held_out_labels_never_reach_a_network(digits, main, monkeypatch, method):
    y, _, _, classifier = main
    held = classifier.folds_.folds[0][1]
    seen = []
    for way in (ways.GraphTaught, ways.SelfTaught, ways.Consistent):

        def watched(self, problem, lesson, train=way.train):
            seen.append((lesson.name, lesson.codes))
            return train(self, problem, lesson)

        monkeypatch.setattr(way, "train", watched)
        monkeypatch.setattr(way, "most_rounds", 1, raising=False)
    road = follow(digits, main, method=method, time_budget=0.1)
    assert road.name == method
    (first, known), (last, every) = seen[0], seen[-1]
    assert first == f"{method}-1-tested"
    assert (known[held] == -1).all()
    assert (known >= 0).sum() == (y >= 0).sum() - len(held)
    if method == "self-training":
        assert last == "self-training-2"
        np.testing.assert_array_equal(every, y)


def test_the_time_budget_ends_the_rounds(digits, main, monkeypatch):
    short = follow(digits, main, time_budget=0.001)
    assert short.n_rounds == 1
    monkeypatch.setattr(ways.GraphTaught, "most_rounds", 2)
    long = follow(digits, main, time_budget=600.0)
    rounds = [record for record in long.training.rounds if record["network"] == "network"]
    assert len(rounds) == long.n_rounds == len(long.extractor.networks)
    tested = ["accuracy" in record for record in rounds]
    assert tested in ([True, False, False], [True, True, False, False])


def test_networks_that_follow_the_test_are_given_all_labels(digits, main, monkeypatch):
    seen = []

    def watched(self, problem, lesson, train=ways.GraphTaught.train):
        seen.append((lesson.codes >= 0).sum())
        return train(self, problem, lesson)

    monkeypatch.setattr(ways.GraphTaught, "train", watched)
    monkeypatch.setattr(ways.GraphTaught, "most_rounds", 1)
    follow(digits, main, time_budget=600.0)
    assert seen == [144, 180, 180]


def test_with_time_every_way_is_tried_and_told(digits, main):
    road = follow(digits, main, method="auto", time_budget=900.0)
    tried = {record["network"] for record in road.training.rounds}
    assert {name.removesuffix(" (tried)") for name in tried} == {"network", "consistency"}
    assert sum("accuracy" in record for record in road.training.rounds) >= 2
    names = [row.name for row in road.choice.table]
    assert names[:2] == ["network", "consistency"]
    assert "supervised" in names
    assert {record["network"] for record in road.training.epochs} == {
        f"{road.name} {number}" for number in range(1, road.n_rounds + 1)
    }


def test_pseudo_labels_are_judged_anew_in_every_round(digits, main):
    road = follow(digits, main, method="self-training", time_budget=600.0)
    rounds = [record for record in road.training.rounds if record["round"] > 1]
    assert road.training.rounds[0]["n_accepted"] == 0
    for record in rounds:
        assert record["n_accepted"] > 0
    for accepted in road.training.accepted:
        assert len(accepted.rows) == len(accepted.codes) == len(accepted.confidence)
    # The last round was given all labels; those before could not know the held-out ones.
    assert (main[0][road.training.accepted[-1].rows] == -1).all()


def test_few_labels_are_passed_over_until_the_steps_are_taken(digits, main):
    few_epochs = replace(QUICK, max_epochs=2)
    road = follow(digits, main, method="self-training", settings=few_epochs, time_budget=1.0)
    n_epochs = sum(record["network"] == "self-training 1" for record in road.training.epochs)
    # 144 labels are three steps an epoch.
    assert n_epochs == QUICK.n_steps // 3


def test_too_little_time_is_told_with_how_much_is_needed(digits, main):
    slow = StudentSettings("resnet", n_steps=10_000, batch_size=64, augment="weak")
    closed = follow(digits, main, method="auto", settings=slow, time_budget=0.01)
    assert isinstance(closed, RoadClosed)
    assert re.search(r"need more time. Give --time \d+m or more", closed.reason)


def test_finished_networks_are_not_trained_again(digits, main, tmp_path, monkeypatch):
    first = follow(digits, main, checkpoint=tmp_path / "kept", time_budget=0.001)

    def never(self, problem, lesson):
        raise AssertionError("trained again")

    monkeypatch.setattr(ways.GraphTaught, "train", never)
    again = follow(digits, main, checkpoint=tmp_path / "kept", time_budget=0.001)
    np.testing.assert_allclose(again.rows, first.rows, atol=1e-6)
    assert again.training.epochs[0]["loss"] == first.training.epochs[0]["loss"]
    with pytest.raises(AssertionError, match="trained again"):
        follow(digits, main, checkpoint=tmp_path / "kept", time_budget=0.001, seed=1)


def test_an_interrupted_road_goes_on_with_the_steps_that_it_was_begun_with(
    digits, main, tmp_path, monkeypatch
):
    slow = StudentSettings("cnn", n_steps=400, batch_size=64, augment="weak", max_epochs=3)
    follow(digits, main, checkpoint=tmp_path, settings=slow, time_budget=0.001)

    def never(*args, **settings):
        raise AssertionError("measured again")

    monkeypatch.setattr(road_module, "find_pace", never)
    follow(digits, main, checkpoint=tmp_path, settings=slow, time_budget=0.001)
    with pytest.raises(AssertionError, match="measured again"):
        follow(digits, main, checkpoint=tmp_path, settings=slow, time_budget=0.001, seed=3)


def test_no_time_is_spent_on_networks_that_are_not_kept(digits, main, monkeypatch):
    seen = []
    for way in (ways.GraphTaught, ways.Consistent):

        def watched(self, problem, lesson, train=way.train):
            seen.append(lesson.name)
            return train(self, problem, lesson)

        monkeypatch.setattr(way, "train", watched)
        monkeypatch.setattr(way, "most_rounds", 1)

    def main_job_wins(task, y_true, candidates, prefer=(), **settings):
        choice = choose(task, y_true, candidates, prefer=prefer, **settings)
        last = list(candidates)[-1]
        return replace(choice, name=last) if "supervised" in candidates else choice

    choose = road_module.choose_candidate
    monkeypatch.setattr(road_module, "choose_candidate", main_job_wins)
    road = follow(digits, main, method="auto", time_budget=900.0)
    assert not road.helped
    assert seen == ["network-1-tested", "consistency-1-tested"]
    seen.clear()
    assert not follow(digits, main, method="network", time_budget=900.0).helped
    assert seen == ["network-1-tested", "network-2", "network-3"]


def test_a_damaged_network_is_trained_again(tmp_path, digits, main):
    folder = tmp_path / "kept"
    follow(digits, main, checkpoint=folder, time_budget=0.001)
    for file in folder.rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:-10])
    assert follow(digits, main, checkpoint=folder, time_budget=0.001).n_rounds == 1
    assert KeptNetworks(folder, {}).get("another") is None


def test_fine_tuning_wants_a_pretrained_network(digits, main):
    with pytest.raises(UsageError, match="name one with --backbone"):
        follow(digits, main, method="fine-tuning")
    assert student_settings(main[1]).backbone is None


def test_too_few_labels_to_hold_some_out(digits, main):
    images, _ = digits
    y, base, rows, _ = main
    few = np.where(np.cumsum(y >= 0) <= 45, y, -1)
    classifier = FewLabelClassifier(random_state=0).fit(rows, few)
    groups = np.arange(len(images))
    closed = follow_network_road(
        images, few, classifier, base, rows, groups=groups, time_budget=1.0, settings=QUICK
    )
    assert isinstance(closed, RoadClosed)
    assert "fewer than 50 labels" in closed.reason


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
    assert read_pixels(load_images(tmp_path), 64).shape == (2, 64, 64, 3)
    digits = load_images("digits").subset([0, 1])
    assert read_pixels(digits, 64).shape == (2, 8, 8)
    assert read_pixels(digits, 64, colour=True).shape == (2, 8, 8, 3)
