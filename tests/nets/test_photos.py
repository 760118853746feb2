"""Photos as networks take them, in bounded memory."""

import numpy as np
import pytest

from fewlabel.errors import DataError
from fewlabel.nets import photos
from tests.nets.test_fine_tuning import colored, tuned


def test_parts_that_fit_the_cache_change_nothing(weights, float32, monkeypatch):
    whole = tuned(weights).predict_proba(colored(seed=1)[0])
    monkeypatch.setattr(photos, "_CPU_PIXELS", 3 * 32 * 32)
    parts = tuned(weights).predict_proba(colored(seed=1)[0])
    # The same gradients but for rounding, which Adam's first steps blow up.
    np.testing.assert_allclose(parts, whole, atol=0.02)


def test_bright_photos_of_one_call_are_not_stretched():
    images = photos._as_images(np.array([[[60_000, 60_100]]], np.uint16))
    assert images.read([0]).min() > 230


def test_photos_that_do_not_fit_in_memory_are_refused(weights, monkeypatch):
    monkeypatch.setattr(photos, "MAX_BYTES", 100_000)
    with pytest.raises(DataError, match=r"60 photos at 32 × 32 take 0.0 GB .* a smaller size"):
        tuned(weights)
