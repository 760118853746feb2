"""A fit of many images, made small: streamed features and a solve in parts, to the saved model."""

import numpy as np

from fewlabel.data import labels_of, load_images
from fewlabel.features import cache, extract, streamed
from fewlabel.graph import graph_model
from fewlabel.pipeline import FitSettings, fit_images, select_images
from fewlabel.runs.folder import save_run
from fewlabel.runs.model import load_run


def labeled(images, rows):
    texts = np.full(len(images), "", object)
    texts[rows] = images.truth[rows]
    return labels_of(texts, images, "test")[0]


def test_what_is_streamed_predicts_as_what_is_held_and_the_model_is_saved_with_it(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("FEWLABEL_CACHE", str(tmp_path / "cache"))
    images = load_images("digits").subset(np.arange(700))
    picked = select_images(images, 60, features="patches").indices
    settings = FitSettings(features="patches", method="refined")
    held = fit_images(images, labeled(images, picked), settings)
    for module in (cache, extract):
        monkeypatch.setattr(module, "STREAMED_FROM", 1)
    monkeypatch.setattr(streamed, "_PART", 256)
    for name in ("_AT_ONCE", "_VALUES_A_SOLVE"):
        monkeypatch.setattr(graph_model, name, 40 * len(images))
    monkeypatch.setattr(graph_model, "_SAMPLED", 80_000)
    found = fit_images(images, labeled(images, picked), settings)
    assert found.features.rows.dtype == np.float16
    assert (found.predicted == held.predicted).mean() > 0.97
    save_run(found, images, tmp_path / "run")
    model = load_run(tmp_path / "run")
    new = load_images("digits").subset(np.arange(1_000, 1_100))
    np.testing.assert_allclose(model.predict(new).proba, found.model.predict(new).proba, atol=1e-6)
    assert model.predict(new).unlike is not None
