import numpy as np
import pytest

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.errors import UsageError
from fewlabel.explain import sheets
from fewlabel.explain.sheets import (
    _choose_examples,
    _class_at_issue,
    _explain_fit,
    _how_many_explained,
    explain_sheet,
)

QUICK = {"n_samples": 20, "repeats": 2}


@pytest.fixture(scope="module")
def few(example):
    """A fit that makes mistakes."""
    return example.fit(example.known(range(30)), method="graph")


def test_a_sheet_of_right_wrong_and_unsure_predictions(few, example):
    task, truth, classes = few.task, example.truth, few.classes
    y = task.without(truth.y, np.arange(30))
    found = explain_sheet(few.model, example.images, 6, y=y, **QUICK)
    assert [one.kind for one in found] == ["right"] * 2 + ["wrong"] * 2 + ["unsure"] * 2
    proba = few.model.predict(example.images).proba
    texts = task.texts(task.predict(proba), classes)
    present, _ = task.evidence(truth.y, len(classes))
    decided = task.decided(proba)
    for one in found:
        row, target = int(one.name), one.explanation.target
        assert row >= 30
        assert (one.predicted, one.true) == (texts[row], truth.names()[row])
        assert ("true: " in one.note) == (one.kind != "right")
        if one.kind != "unsure":
            assert (one.predicted == one.true) == (one.kind == "right")
            assert (decided[row, target] == present[row, target]) == (one.kind == "right")
        else:
            assert ("or " in one.note) == (task.codes(y) is not None)


def test_without_truth_and_for_one_class(few, example):
    found = explain_sheet(few.model, example.images, 4, target=1, **QUICK)
    assert [one.kind for one in found] == ["sure"] * 2 + ["unsure"] * 2
    assert {one.explanation.target for one in found} == {1}
    assert {one.true for one in found} == {""}


def test_very_many_images_are_sampled(few, example, monkeypatch):
    monkeypatch.setattr(sheets, "_MAX_POOL", 30)
    names = [
        [one.name for one in explain_sheet(few.model, example.images, 40, seed=seed, **QUICK)]
        for seed in (0, 0, 1)
    ]
    assert len(names[0]) == 30
    assert names[0] == names[1] != names[2]


def test_a_fit_explains_labeled_images_as_if_unseen_and_the_audit_first(few, example):
    found = _explain_fit(few, example.images, 6, **QUICK)
    assert len(found) == 6
    assert all(int(one.name) < 30 for one in found)
    wrong = [one for one in found if one.kind == "wrong"]
    assert wrong
    assert all(one.predicted != one.true == few.labels.names()[int(one.name)] for one in wrong)
    unseen = dict(zip(few.tested.tolist(), few.tested_proba, strict=True))
    for one in found:
        np.testing.assert_array_equal(one.explanation.proba, unseen[int(one.name)])
    purpose = ("train",) * 30 + ("audit",) * 40 + ("",) * (len(example.images) - 70)
    audited = example.fit(example.known(range(70), purpose), method="graph")
    found = _explain_fit(audited, example.images, 3, **QUICK)
    assert all(30 <= int(one.name) < 70 for one in found)


@pytest.mark.parametrize(
    ("seconds", "many", "samples"), [(10, 3, 150), (8.5, 3, 100), (3, 1, 100), (2.7, 0, 100)]
)
def test_explanations_take_no_longer_than_they_may(seconds, many, samples):
    n, plan = sheets._affordable(3, sheets._PLANS, seconds, 0.00999 if seconds < 10 else 0.005)
    assert (n, plan["n_samples"]) == (many, samples)


def test_what_nobody_asked_for_takes_a_tenth_of_the_fit_and_is_stable(few, example, monkeypatch):
    few.seconds = {"features": 20.0, "fit": 5.0}
    assert sheets._seconds_for_explanations(few) == 2.5
    monkeypatch.setattr(sheets, "_seconds_a_pass", lambda *_: 1.0)
    assert _explain_fit(few, example.images, 6, seconds=2.5) == []
    plans = sheets._SMALL_PLANS
    monkeypatch.setattr(sheets, "LOW_AGREEMENT", 1.1)
    for plan, n in ((plans[0], 6), (plans[1], 0)):
        monkeypatch.setattr(sheets, "_affordable", lambda *_, plan=plan: (6, plan))
        assert len(_explain_fit(few, example.images, seconds=2.5, n_samples=20)) == n


@pytest.mark.parametrize(("size", "n"), [((8, 8), 6), ((64, 64), 6), ((65, 40), 3)])
def test_fewer_are_explained_where_each_takes_long_and_none_without_captum(
    size, n, few, example, monkeypatch
):
    monkeypatch.setattr(sheets, "_model_size", lambda model, images: size)
    assert _how_many_explained(few.model, example.images) == n
    monkeypatch.setattr(sheets, "is_installed", lambda name: False)
    assert _how_many_explained(few.model, example.images) == 0
    assert _explain_fit(few, example.images) == []


ONE, SEVERAL = SingleLabel(), MultiLabel()


@pytest.fixture
def proba():
    return np.random.default_rng(0).dirichlet(np.full(5, 0.3), 400)


def test_right_wrong_and_unsure_ones_are_what_they_are_called(proba):
    y = np.random.default_rng(1).integers(0, 5, 400)
    chosen = _choose_examples(ONE, proba, 12, y)
    assert [len(chosen[kind]) for kind in ("right", "wrong", "unsure")] == [4, 4, 4]
    assert len(set(np.concatenate(list(chosen.values())).tolist())) == 12
    predicted = proba.argmax(axis=1)
    assert (predicted[chosen["right"]] == y[chosen["right"]]).all()
    assert (predicted[chosen["wrong"]] != y[chosen["wrong"]]).all()
    top = np.sort(proba[chosen["unsure"]], axis=1)
    assert (top[:, -1] - top[:, -2] < 0.05).all()
    for kind in ("right", "wrong"):
        assert len(set(predicted[chosen[kind]])) == 4
        assert (proba[chosen[kind]].max(axis=1) > 0.9).all()


def test_several_labels_an_image():
    proba = np.array([[0.9, 0.9], [0.95, 0.1], [0.9, 0.5], [0.05, 0.05], [0.9, 0.2]])
    y = np.array([[1, 1], [0, 0], [1, 1], [0, 0], [-1, -1]])
    chosen = _choose_examples(SEVERAL, proba, 4, y)
    # An image without a label comes last: there is little to see.
    assert {kind: rows.tolist() for kind, rows in chosen.items()} == {
        "right": [0, 3], "wrong": [1], "unsure": [2],
    }  # fmt: skip
    assert sorted(np.concatenate(list(_choose_examples(SEVERAL, proba, 9).values()))) == [*range(5)]


@pytest.mark.parametrize(
    ("task", "proba", "kind", "y", "expected"),
    [
        (ONE, [0.6, 0.3, 0.1], "right", 0, 0),
        (ONE, [0.6, 0.3, 0.1], "wrong", 1, 0),
        (ONE, [0.4, 0.5, 0.1], "unsure", 0, 1),
        (ONE, [0.375, 0.625], "unsure", 0, 1),
        (SEVERAL, [0.9, 0.8, 0.1], "right", [1, 1, 0], 0),
        (SEVERAL, [0.9, 0.8, 0.1], "wrong", [1, 0, 0], 1),
        (SEVERAL, [0.9, 0.2, 0.1], "wrong", [1, -1, 1], 2),
        (SEVERAL, [0.9, 0.4, 0.1], "unsure", None, 1),
    ],
)
def test_the_class_at_issue_is_explained(task, proba, kind, y, expected):
    truth = None if y is None else np.asarray(y)
    assert _class_at_issue(task, np.array(proba), kind, truth) == expected


def test_images_without_a_label_are_left_out_where_some_have_one(proba):
    chosen = _choose_examples(ONE, proba, 7)
    assert [len(chosen[kind]) for kind in ("sure", "unsure")] == [4, 3]
    y = np.full(400, -1)
    y[[3, 5, 8]] = proba[[3, 5, 8]].argmax(axis=1)
    chosen = _choose_examples(ONE, proba, 12, y)
    assert sorted(np.concatenate(list(chosen.values())).tolist()) == [3, 5, 8]
    assert len(chosen["wrong"]) == 0
    # Where a kind has too few, the others take its places.
    proba = np.tile([0.9, 0.1], (10, 1))
    proba[0] = [0.2, 0.8]
    chosen = _choose_examples(ONE, proba, 6, np.zeros(10, int))
    assert chosen["wrong"].tolist() == [0]
    assert [len(chosen["right"]), len(chosen["unsure"])] == [5, 0]

    with pytest.raises(UsageError, match=r"At least one example must be chosen. Got 0"):
        _choose_examples(ONE, proba, 0)
    with pytest.raises(UsageError, match="No label is known among the images"):
        _choose_examples(ONE, proba, 3, np.full(400, -1))
