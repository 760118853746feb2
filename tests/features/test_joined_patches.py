"""Several patch dictionaries: rows, fewer columns, states."""

import json

import numpy as np
import pytest

from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.features.base import _extractor_from_state
from fewlabel.features.joined_patches import JoinedPatches
from fewlabel.features.patch_features import PatchFeatures


@pytest.fixture(scope="module")
def joined(digits):
    return JoinedPatches([PatchFeatures(), PatchFeatures(fine=True)]).fit(digits.images)


def test_each_dictionary_has_the_same_share_of_a_row(joined, digits):
    rows = joined.transform(digits.new)
    assert rows.shape == (len(digits.new), joined.width)
    start = 0
    for part in joined.parts:
        own = part.transform(digits.new)
        piece = rows[:, start : start + part.width]
        np.testing.assert_allclose(np.linalg.norm(piece, axis=1), 1, rtol=1e-5)
        cosine = np.einsum("ij,ij->i", own, piece) / np.linalg.norm(own, axis=1)
        np.testing.assert_allclose(cosine, 1, rtol=1e-5)
        start += part.width
    assert start == rows.shape[1]


def test_a_fine_dictionary_has_smaller_patches_and_cells(digits):
    images = digits.images.subset(range(50))
    usual = PatchFeatures((28, 28)).fit(images)
    fine = PatchFeatures((28, 28), fine=True).fit(images)
    was, new = (each.dictionary_.filters_ for each in (usual, fine))
    assert (was.patch_size, was.grid, was.stride) == (7, 4, 1)
    assert (new.patch_size, new.grid, new.stride) == (5, 6, 2)
    assert not np.allclose(usual.transform(images)[:, :5], fine.transform(images)[:, :5])


def test_leading_directions_are_the_first_columns(joined, digits):
    usual = joined.parts[0]
    few = usual._leading(9)
    assert few.width == 9
    rows = usual.transform(digits.new)
    np.testing.assert_allclose(few.transform(digits.new), rows[:, :9], rtol=1e-4, atol=1e-4)
    # The whole one is as it was, and what was taken from it can be saved.
    assert usual.width == rows.shape[1] > 9
    again = _extractor_from_state(*few.to_state())
    np.testing.assert_array_equal(again.transform(digits.new), few.transform(digits.new))


def test_a_saved_one_gives_the_same_rows(joined, digits):
    arrays, meta = joined.to_state()
    again = _extractor_from_state(arrays, json.loads(json.dumps(meta)))
    np.testing.assert_array_equal(again.transform(digits.new), joined.transform(digits.new))
    for damaged in ([], [meta, meta], meta["parts"] * 3, [*meta["parts"], meta["parts"][0]]):
        with pytest.raises(ModelFormatError):
            _extractor_from_state(arrays, meta | {"parts": damaged})


def test_one_that_is_not_fitted_says_so(digits):
    with pytest.raises(UsageError, match="is not fitted"):
        JoinedPatches([PatchFeatures()]).transform(digits.new)
