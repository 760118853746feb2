import numpy as np
import pytest

from fewlabel.data import Labels, labels_from_truth, load_images
from fewlabel.errors import UsageError
from fewlabel.features.extract import extract_features
from fewlabel.selection import select_images


@pytest.fixture(scope="module")
def digits():
    images = load_images("digits").subset(range(400))
    return images, labels_from_truth(images), extract_features(images, features="pixels")


def test_selection_leaves_out_labels_and_copies_and_draws_the_audit(digits):
    images, truth, prepared = digits
    y = np.full(len(truth.y), -1)
    y[:20] = truth.y[:20]
    labels = Labels(y, truth.classes)
    chosen = select_images(images, 15, audit=10, labels=labels, prepared=prepared)
    assert len(set(chosen.indices.tolist())) == 25
    assert chosen.indices.min() >= 20
    assert chosen.purpose.tolist() == ["train"] * 15 + ["audit"] * 10
    assert (chosen.cluster_size[:15] > 0).all()


def test_a_budget_that_does_not_fit_is_refused(digits):
    images, _, prepared = digits
    with pytest.raises(UsageError, match=r"The budget of 401 and an audit of 0 do not fit 400"):
        select_images(images, 401, prepared=prepared)
    with pytest.raises(UsageError, match="budget of 0"):
        select_images(images, 0, prepared=prepared)
