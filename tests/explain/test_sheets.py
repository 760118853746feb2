import numpy as np
import pytest

from fewlabel.data import Labels, labels_from_truth, load_images
from fewlabel.explain import sheets
from fewlabel.explain.sheets import explain_fit, explain_sheet, how_many_explained
from fewlabel.model import Model
from fewlabel.pipeline import FitSettings, fit_images

QUICK = {"n_samples": 20, "repeats": 2}


@pytest.fixture(scope="module")
def images():
    return load_images("digits").subset(range(300))


@pytest.fixture(scope="module", params=["one label", "several labels"])
def truth(request, images):
    one = labels_from_truth(images)
    if request.param == "one label":
        return one
    table = np.stack([one.y % 2 == 1, one.y > 4, np.isin(one.y, (0, 6, 8, 9))], axis=1)
    return Labels(table.astype(np.int8), ("odd", "large", "round"))


def fit(images, truth, rows, purpose=()):
    labels = Labels(truth.task.without(truth.y, rows), truth.classes, purpose)
    return fit_images(images, labels, FitSettings(method="graph", features="pixels"))


@pytest.fixture(scope="module")
def result(images, truth):
    return fit(images, truth, np.arange(60, 300))


def test_a_sheet_of_right_wrong_and_unsure_predictions(result, images, truth):
    task, classes = truth.task, truth.classes
    y = task.without(truth.y, np.arange(60))
    found = explain_sheet(result.model, images, 6, y=y, **QUICK)
    assert [one.kind for one in found] == ["right"] * 2 + ["wrong"] * 2 + ["unsure"] * 2
    proba = result.model.predict(images).proba
    texts = task.texts(task.predict(proba), classes)
    present, _ = task.evidence(truth.y, len(classes))
    decided = task.decided(proba)
    for one in found:
        row, target = int(one.name), one.explanation.target
        assert row >= 60
        assert (one.predicted, one.true) == (texts[row], truth.names()[row])
        assert ("true: " in one.note) == (one.kind != "right")
        if one.kind != "unsure":
            assert (one.predicted == one.true) == (one.kind == "right")
            assert (decided[row, target] == present[row, target]) == (one.kind == "right")
        else:
            assert ("or " in one.note) == (task.codes(y) is not None)


def test_without_truth_and_for_one_class(result, images):
    found = explain_sheet(result.model, images, 4, target=1, **QUICK)
    assert [one.kind for one in found] == ["sure"] * 2 + ["unsure"] * 2
    assert {one.explanation.target for one in found} == {1}
    assert {one.true for one in found} == {""}


def test_very_many_images_are_sampled(result, images, monkeypatch):
    monkeypatch.setattr(sheets, "_MAX_POOL", 30)
    seen = []
    original = Model.predict

    def spy(self, images, **options):
        seen.append(len(images))
        return original(self, images, **options)

    monkeypatch.setattr(Model, "predict", spy)
    names = [
        [one.name for one in explain_sheet(result.model, images, 4, seed=seed, **QUICK)]
        for seed in (0, 0, 1)
    ]
    assert seen[0] == 30
    assert names[0] == names[1] != names[2]


def test_a_fit_explains_labeled_images_as_if_unseen(result, images):
    found = explain_fit(result, images, 6, **QUICK)
    assert len(found) == 6
    assert all(int(one.name) < 60 for one in found)
    wrong = [one for one in found if one.kind == "wrong"]
    assert wrong
    assert all(one.predicted != one.true == result.labels.names()[int(one.name)] for one in wrong)


def test_a_fit_explains_the_audit_first(images, truth):
    purpose = ("train",) * 60 + ("audit",) * 40 + ("",) * 200
    result = fit(images, truth, np.arange(100, 300), purpose)
    found = explain_fit(result, images, 3, **QUICK)
    assert all(60 <= int(one.name) < 100 for one in found)


@pytest.mark.parametrize(("size", "n"), [((8, 8), 6), ((64, 64), 6), ((65, 40), 3)])
def test_fewer_are_explained_where_each_takes_long_and_none_without_captum(
    size, n, result, images, monkeypatch
):
    monkeypatch.setattr(sheets, "_model_size", lambda model, images: size)
    assert how_many_explained(result.model, images) == n
    monkeypatch.setattr(sheets, "is_installed", lambda name: False)
    assert how_many_explained(result.model, images) == 0
    assert explain_fit(result, images) == []
