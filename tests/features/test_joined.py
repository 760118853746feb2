"""Features joined with the embeddings of trained networks."""

import numpy as np
import pytest
from sklearn.base import clone

from fewlabel import NetworkClassifier
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.features.base import _extractor_from_state
from fewlabel.features.joined import JoinedFeatures
from fewlabel.features.pixels import Pixels


@pytest.fixture(scope="module")
def networks(images, digits):
    network = NetworkClassifier(options={"widths": (16, 8)}, n_epochs=2, min_steps=5)
    pixels, y = images.read(range(150))[..., 0], digits.truth.y[:150]
    return [clone(network).set_params(random_state=seed).fit(pixels, y) for seed in (0, 1)]


@pytest.fixture(scope="module")
def joined(images, networks):
    return JoinedFeatures(Pixels(random_state=0).fit(images), networks, share=0.4).fit(images)


def test_each_part_has_its_share_of_the_length(joined, images):
    rows = joined.transform(images)
    assert rows.shape == (150, 64 + 8 + 8)
    lengths = np.add.reduceat(rows**2, [0, 64, 72], axis=1)
    np.testing.assert_allclose(lengths, [[0.6, 0.2, 0.2]] * 150, rtol=1e-5)
    # Rows that are at hand are joined as transform does, and other images centered as these.
    np.testing.assert_array_equal(joined._join(joined.base.transform(images), images), rows)
    np.testing.assert_allclose(joined.transform(images.subset([3, 4])), rows[3:5], atol=1e-5)
    again = _extractor_from_state(*joined.to_state())
    assert isinstance(again, JoinedFeatures)
    np.testing.assert_allclose(again.transform(images), rows, rtol=1e-6)


@pytest.mark.parametrize(
    "forge",
    [
        lambda arrays, meta: arrays.pop("center1"),
        lambda arrays, meta: arrays.update(center0=np.zeros(3, np.float32)),
        lambda arrays, meta: meta.update(networks=[]),
        lambda arrays, meta: meta.update(share=2.0),
        lambda arrays, meta: meta.pop("base"),
        lambda arrays, meta: meta.update(base={"extractor": "joined"}),
        lambda arrays, meta: arrays.pop("network0.head.weight"),
    ],
)
def test_a_damaged_extractor_is_refused(joined, forge):
    arrays, meta = joined.to_state()
    forge(arrays, meta)
    with pytest.raises(ModelFormatError):
        _extractor_from_state(arrays, meta)


def test_a_share_out_of_range_is_refused(networks):
    with pytest.raises(UsageError, match="'share' parameter of JoinedFeatures"):
        JoinedFeatures(Pixels(), networks, share=1)
