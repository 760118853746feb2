import io

import numpy as np
import pytest
from PIL import Image

from fewlabel.data import Labels, labels_from_truth, load_images
from fewlabel.explain import sheets
from fewlabel.explain.sheets import (
    draw_sheet,
    explain_fit,
    explain_sheet,
    explained_galleries,
    how_many_explained,
)
from fewlabel.model import Model
from fewlabel.pipeline import FitSettings, fit_images

QUICK = {"n_samples": 20, "repeats": 2}


@pytest.fixture(scope="module")
def images():
    return load_images("digits").subset(range(300))


@pytest.fixture(scope="module")
def truth(images):
    return labels_from_truth(images)


@pytest.fixture(scope="module")
def result(images, truth):
    y = np.where(np.arange(300) < 60, truth.y, -1)
    return fit_images(
        images, Labels(y, truth.classes), FitSettings(method="graph", features="pixels")
    )


@pytest.fixture(scope="module")
def model(result):
    return result.model


def test_a_sheet_of_right_wrong_and_unsure_predictions(model, images, truth):
    y = np.where(np.arange(300) < 60, -1, truth.y)
    found = explain_sheet(model, images, 6, y=y, **QUICK)
    assert [one.kind for one in found] == ["right"] * 2 + ["wrong"] * 2 + ["unsure"] * 2
    proba = model.predict(images).proba
    for one in found:
        row = int(one.name)
        assert row >= 60
        assert one.truth == truth.y[row]
        assert one.explanation.target == proba[row].argmax()
        if one.kind != "unsure":
            assert (one.truth == one.explanation.target) == (one.kind == "right")
    picture = Image.open(io.BytesIO(draw_sheet(found, truth.classes, title="digits")))
    assert picture.format == "PNG"
    galleries = explained_galleries(found, truth.classes, {"wrong": "Look here."})
    assert [len(gallery.items) for gallery in galleries] == [2, 2, 2]
    wrong = galleries[1]
    assert wrong.caption == "Look here."
    assert f"true: {truth.classes[found[2].truth]}, stability" in wrong.items[0].note
    assert wrong.items[0].beside.shape == wrong.items[0].image.shape == (8, 8, 3)


def test_without_truth_and_for_one_class(model, images):
    found = explain_sheet(model, images, 4, target=3, **QUICK)
    assert [one.kind for one in found] == ["sure"] * 2 + ["unsure"] * 2
    assert {one.explanation.target for one in found} == {3}
    assert {one.truth for one in found} == {-1}


def test_very_many_images_are_sampled(model, images, monkeypatch):
    monkeypatch.setattr(sheets, "MAX_POOL", 30)
    seen = []
    original = Model.predict

    def spy(self, images, **options):
        seen.append(len(images))
        return original(self, images, **options)

    monkeypatch.setattr(Model, "predict", spy)
    names = [
        [one.name for one in explain_sheet(model, images, 4, seed=seed, **QUICK)]
        for seed in (0, 0, 1)
    ]
    assert seen[0] == 30
    assert names[0] == names[1] != names[2]


def test_the_report_explains_labelled_images_as_if_unseen(result, images):
    galleries = explain_fit(result, images, 6, **QUICK)
    items = [item for gallery in galleries for item in gallery.items]
    assert len(items) == 6
    assert all(int(item.name) < 60 for item in items)
    assert all("did not see their labels" in gallery.caption for gallery in galleries)
    wrong = next(g for g in galleries if g.title.startswith("Wrong"))
    given = result.labels.training_y
    for item in wrong.items:
        assert item.label != result.classes[given[int(item.name)]]


def test_the_report_explains_the_audit_first(images, truth):
    y = np.where(np.arange(300) < 100, truth.y, -1)
    purpose = np.array(["train"] * 60 + ["audit"] * 40 + [""] * 200, dtype=object)
    labels = Labels(y, truth.classes, tuple(purpose))
    result = fit_images(images, labels, FitSettings(method="graph", features="pixels"))
    galleries = explain_fit(result, images, 3, **QUICK)
    names = [int(item.name) for gallery in galleries for item in gallery.items]
    assert all(60 <= name < 100 for name in names)
    assert galleries[0].caption.startswith("Images of the audit.")


def test_without_captum_the_report_has_no_explanations(result, images, monkeypatch):
    monkeypatch.setattr(sheets, "is_installed", lambda name: False)
    assert explain_fit(result, images) == []


@pytest.mark.parametrize(("size", "n"), [((8, 8), 6), ((64, 64), 6), ((65, 40), 3)])
def test_fewer_predictions_are_explained_where_each_takes_long(
    size, n, result, images, monkeypatch
):
    monkeypatch.setattr(sheets, "model_size", lambda model, images: size)
    assert how_many_explained(result, images) == n
    monkeypatch.setattr(sheets, "is_installed", lambda name: False)
    assert how_many_explained(result, images) == 0
