"""Trained networks are saved without code, and loaded where they fit their description."""

import numpy as np
import pytest

from fewlabel import NetworkClassifier
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.persist import load_bundle, save_bundle
from tests.nets.examples import IMAGES, PAIRS, SHORT, TABLE, X, Y


@pytest.fixture(scope="module")
def fitted():
    return NetworkClassifier("mlp", **SHORT).fit(X[:400], Y[:400])


@pytest.mark.parametrize(
    ("architecture", "rows", "y", "labels"),
    [
        ("mlp", X, Y, None),
        ("resnet", PAIRS, TABLE, [f"digit {k}" for k in range(10)]),
        ("timm/mobilenetv3_small_050", np.kron(IMAGES[:60], np.ones((4, 4), np.uint8)), Y, None),
    ],
)
def test_a_saved_network_predicts_the_same(architecture, rows, y, labels, tmp_path):
    model = NetworkClassifier(architecture, labels=labels, **SHORT)
    if architecture.startswith("timm"):
        model.set_params(options={}, min_steps=1)
    n = min(400, len(rows))
    arrays, meta = model.fit(rows[:n], y[:n]).to_state()
    save_bundle(tmp_path / "model", kind="network", arrays=arrays, meta=meta)
    bundle = load_bundle(tmp_path / "model", kind="network")
    again = NetworkClassifier.from_state(bundle.arrays, bundle.meta, device="cpu")
    np.testing.assert_array_equal(again.predict_proba(rows), model.predict_proba(rows))
    assert again.classes_.tolist() == (labels or list(range(10)))
    assert list(again.options.get("widths", ())) == list(model.options.get("widths", ()))


@pytest.mark.parametrize(
    "forge",
    [
        lambda arrays, meta: arrays.pop("head.weight"),
        lambda arrays, meta: arrays.update({"head.bias": np.zeros(3, np.float32)}),
        lambda arrays, meta: meta.update(classes=[1, 2]),
        lambda arrays, meta: meta["network"].update(input_shape=[65]),
        lambda arrays, meta: meta["network"].update(n_outputs="ten"),
        lambda arrays, meta: meta.pop("network"),
        lambda arrays, meta: meta.pop("task"),
        # Would take terabytes, if it were built before it is checked.
        lambda arrays, meta: meta["network"]["options"].update(widths=[10**6, 10**6]),
    ],
)
def test_a_saved_network_that_does_not_fit_its_description_is_refused(fitted, forge):
    arrays, meta = fitted.to_state()
    meta["network"]["options"] = dict(meta["network"]["options"])
    forge(arrays, meta)
    with pytest.raises(ModelFormatError, match=r"fit its description|saved (model lacks )?network"):
        NetworkClassifier.from_state(arrays, meta)


def test_inputs_of_another_size_are_refused():
    model = NetworkClassifier(**SHORT).fit(IMAGES[:50], Y[:50])
    with pytest.raises(UsageError, match=r"of shape \(1, 8, 8\) and got \(1, 9, 8\)"):
        model.predict(np.zeros((2, 9, 8), np.uint8))
