"""The search for networks: how they are tested, when they are kept, and how it resumes."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from fewlabel.data import MultiLabel, SingleLabel, labels_from_truth, load_images
from fewlabel.errors import UsageError
from fewlabel.evaluate import Problem, comparison, held_out
from fewlabel.features.extract import Features
from fewlabel.features.pixels import Pixels
from fewlabel.graph import deal_folds, fit_main
from fewlabel.nets import NetworkClassifier
from fewlabel.semisupervised import network_problem, search
from fewlabel.semisupervised.consistency import Consistent
from fewlabel.semisupervised.graph_distillation import GraphDistillation
from fewlabel.semisupervised.network_inputs import NetworkSettings, _read_pixels
from fewlabel.semisupervised.search import network_methods
from fewlabel.semisupervised.self_training import SelfTrained

QUICK = NetworkSettings("cnn", n_steps=45, batch_size=64, augment="weak")


@pytest.fixture(scope="module")
def digits():
    images = load_images("digits")
    return images.subset(range(900)), images.subset(range(900, 1797))


@pytest.fixture(scope="module")
def features(digits):
    images, _ = digits
    extractor = Pixels(n_components=32, random_state=0).fit(images)
    return Features(extractor, extractor.transform(images), "Pixels.")


def labels_of(images, task):
    """The digit, or whether it is odd and large."""
    truth = labels_from_truth(images).y
    return truth if task == SingleLabel() else np.stack([truth % 2, truth >= 5], axis=1)


@pytest.fixture(scope="module", params=[SingleLabel(), MultiLabel()], ids=lambda task: task.name)
def task(request):
    return request.param


def start(digits, features, task, every=5):
    truth = labels_of(digits[0], task)
    y = task.without(truth.astype(np.int64), np.flatnonzero(np.arange(900) % every))
    problem = Problem(
        task=task,
        images=digits[0],
        extractor=features.extractor,
        rows=features.rows,
        y=y,
        n_classes=10 if y.ndim == 1 else 2,
        groups=np.arange(900),
        folds=deal_folds(y, None, 0),
    )
    return problem, fit_main(problem)


def follow(digits, features, task, method="graph-distillation", *, every=5, **changes):
    problem, main = start(digits, features, task, every)
    settings = {"seconds": 60.0, "settings": QUICK, "seed": 0, "checkpoints": None} | changes
    problem = replace(problem, seed=settings["seed"], checkpoints=settings["checkpoints"])
    with pytest.MonkeyPatch.context() as patch:
        wanted = settings["settings"]
        patch.setattr(NetworkSettings, "for_features", lambda extractor, device: wanted)
        return search.search(problem, main, method, settings["seconds"])


@pytest.fixture(scope="module")
def kept(digits, features, task):
    return follow(digits, features, task)


def test_it_predicts_images_that_it_never_saw(kept, digits, task):
    rows = kept.fitted.extractor.transform(digits[1])
    proba = kept.fitted.predict_proba(rows)
    # Both of two labels must be right where there are two.
    least = 0.92 if task == SingleLabel() else 0.9
    assert task.correct(labels_of(digits[1], task), proba).mean() > least


def test_a_fifth_of_the_labels_decides(kept, digits, features, task):
    problem, main = start(digits, features, task)
    y, folds, compared = problem.y, problem.folds, kept.comparison
    held = np.setdiff1d(held_out(folds, y, task), folds.labeled[folds.unseen])
    assert compared.tested.tolist() == held.tolist()
    assert len(held) >= 0.2 * 180 - 1
    scores = {row.name: row.accuracy for row in compared.choice.table}
    expected = task.correct(y[held], compared.calibrated(kept.fitted.name)).mean()
    assert scores[kept.fitted.name] == pytest.approx(expected)
    assert {"supervised", main.kept.name} <= set(scores)


def test_few_labels_are_too_few_to_decide_and_the_reason_is_said(digits, features, task):
    kept = follow(digits, features, task, every=20)
    assert not kept.n_networks
    assert re.search(r"45 labels are too few to hold out at least a fifth, and 20", kept.notes[0])
    sixty = follow(digits, features, task, every=15)
    assert sixty.n_networks
    assert len(sixty.comparison.tested) >= 20


def test_networks_of_another_backbone_are_not_taken(digits, features, tmp_path):
    settings = {"checkpoints": tmp_path, "seconds": 0.001}
    follow(digits, features, SingleLabel(), **settings)
    names = {"steps", "graph-distillation-1-tested"}
    assert names <= {place.name for place in tmp_path.iterdir()}
    before = {name: (tmp_path / name / "manifest.json").read_bytes() for name in names}
    follow(digits, features, SingleLabel(), settings=replace(QUICK, batch_size=32), **settings)
    assert all((tmp_path / n / "manifest.json").read_bytes() != before[n] for n in names)


def watch(monkeypatch, seen):
    """Note what every training is given."""
    for method in (GraphDistillation, SelfTrained, Consistent):

        def watched(self, inputs, pseudo, train=method.train):
            seen.append((inputs.name, inputs.y))
            return train(self, inputs, pseudo)

        monkeypatch.setattr(method, "train", watched)


@pytest.mark.parametrize("method", ["graph-distillation", "self-training", "consistency"])
def test_held_out_labels_never_reach_a_network(digits, features, monkeypatch, method):
    task, seen = SingleLabel(), []
    watch(monkeypatch, seen)
    monkeypatch.setattr(SelfTrained, "max_rounds", 1)
    kept = follow(digits, features, task, method, seconds=0.1)
    y = start(digits, features, task)[0].y
    assert kept.fitted.name == method
    (first, known), (last, every) = seen[0], seen[-1]
    assert first == f"{method}-1-tested"
    assert (known[kept.comparison.tested] == -1).all()
    assert (known >= 0).sum() == (y >= 0).sum() - len(kept.comparison.tested)
    if method == "self-training":
        assert last == "self-training-2"
        np.testing.assert_array_equal(every, y)


def test_the_time_budget_ends_the_rounds(digits, features, monkeypatch):
    short = follow(digits, features, SingleLabel(), seconds=0.001)
    assert short.n_networks == 1
    monkeypatch.setattr(GraphDistillation, "max_rounds", 2)
    long = follow(digits, features, SingleLabel(), seconds=600.0)
    rounds = [r for r in long.history.rounds if r["network"] == "graph-distillation"]
    assert len(rounds) == long.n_networks == len(long.fitted.extractor.networks)
    tested = [record["accuracy"] is not None for record in rounds]
    assert tested in ([True, False, False], [True, True, False, False])


def test_auto_tries_two_methods_and_says_how_good_each_was(digits, features, task):
    kept = follow(digits, features, task, "auto", seconds=900.0)
    names = [row.name for row in kept.comparison.choice.table]
    tried = [name for name in names if name in network_methods(task)]
    second = "consistency" if task == SingleLabel() else "teacher-student"
    assert tried == ["graph-distillation", second]
    assert "supervised" in names
    networks_of = {record["network"].split(" (")[0] for record in kept.history.rounds}
    assert set(tried) <= networks_of | {kept.fitted.name}


def test_no_time_is_spent_on_networks_that_are_not_kept(digits, features, monkeypatch):
    seen, choose = [], comparison.choose_candidate
    watch(monkeypatch, seen)
    monkeypatch.setattr(GraphDistillation, "max_rounds", 1)

    def main_wins(task, y, candidates, **settings):
        choice = choose(task, y, candidates, **settings)
        if "graph-distillation" not in candidates:
            return choice
        main = list(candidates)[-1]
        return replace(choice, name=settings["asked"] or main, favored=main)

    def follow_search(method):
        with monkeypatch.context() as patch:
            patch.setattr(comparison, "choose_candidate", main_wins)
            return follow(digits, features, SingleLabel(), method, seconds=900.0)

    kept = follow_search("auto")
    assert not kept.n_networks
    assert "is kept." in kept.notes[0]
    assert [name for name, _ in seen] == ["graph-distillation-1-tested", "consistency-1-tested"]
    seen.clear()
    asked = follow_search("graph-distillation")
    assert "is kept since you asked for it" in asked.notes[0]
    assert asked.n_networks == 3
    assert [name for name, _ in seen] == [
        "graph-distillation-1-tested", "graph-distillation-2", "graph-distillation-3",
    ]  # fmt: skip
    # Those that follow the test are given all labels.
    assert [(y >= 0).sum() for _, y in seen] == [180 - len(asked.comparison.tested), 180, 180]


def test_pseudo_labels_are_chosen_anew_in_every_round(digits, features, task):
    kept = follow(digits, features, task, "self-training", seconds=600.0)
    assert kept.history.rounds[0]["n_accepted"] == 0
    assert all(record["n_accepted"] > 0 for record in kept.history.rounds[1:])
    y = start(digits, features, task)[0].y
    given = set(task.labeled(y).tolist())
    # The last round was given all labels; those before could not know the held-out ones.
    assert not given & set(kept.history.accepted[-1].rows.tolist())


def test_too_little_time_is_said_with_how_much_is_needed(digits, features, monkeypatch):
    monkeypatch.setattr(network_problem, "_seconds_per_step", lambda *_: 60.0)
    long = replace(QUICK, n_steps=10_000)
    kept = follow(digits, features, SingleLabel(), "auto", settings=long, seconds=241.0)
    assert not kept.n_networks
    assert re.search(r"need more time. Give --time \d+m or more", kept.notes[0])


def test_networks_are_trained_again_only_if_damaged(digits, features, task, tmp_path, monkeypatch):
    def run(folder="run", **changes):
        checkpoints = tmp_path / folder
        return follow(digits, features, task, checkpoints=checkpoints, seconds=0.001, **changes)

    def never(self, *args, **settings):
        raise AssertionError("trained again")

    first = run()
    shutil.copytree(tmp_path / "run", tmp_path / "damaged")
    monkeypatch.setattr(NetworkClassifier, "fit_soft", never)
    again = run()
    np.testing.assert_allclose(again.fitted.rows, first.fitted.rows, atol=1e-6)
    loss, same = (kept.history.epochs[0]["loss"] for kept in (first, again))
    assert same == pytest.approx(loss, rel=1e-4)
    with pytest.raises(AssertionError, match="trained again"):
        run(seed=1)
    for file in (tmp_path / "damaged").rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(AssertionError, match="trained again"):
        run("damaged")


def test_an_interrupted_search_keeps_its_number_of_steps(digits, features, tmp_path, monkeypatch):
    slow = NetworkSettings("cnn", n_steps=400, batch_size=64, augment="weak", max_epochs=3)
    settings = {"settings": slow, "seconds": 0.001}
    follow(digits, features, SingleLabel(), checkpoints=tmp_path, **settings)

    def never(*args, **settings):
        raise AssertionError("measured again")

    monkeypatch.setattr(network_problem, "_seconds_per_step", never)
    follow(digits, features, SingleLabel(), checkpoints=tmp_path, **settings)
    with pytest.raises(AssertionError, match="measured again"):
        follow(digits, features, SingleLabel(), checkpoints=tmp_path, seed=3, **settings)


def test_fine_tuning_wants_a_pretrained_network(digits, features, task):
    with pytest.raises(UsageError, match="name one with --backbone"):
        follow(digits, features, task, "fine-tuning")


def test_large_images_are_read_at_64_pixels(tmp_path):
    from PIL import Image

    for number in range(2):
        Image.new("RGB", (100, 80), (number * 90, 10, 10)).save(tmp_path / f"{number}.png")
    assert _read_pixels(load_images(tmp_path), 64).shape == (2, 64, 64, 3)
    digits = load_images("digits").subset([0, 1])
    assert _read_pixels(digits, 64).shape == (2, 8, 8)
    assert _read_pixels(digits, 64, color=True).shape == (2, 8, 8, 3)
