import numpy as np
import pytest

from fewlabel.errors import DataError, UsageError
from fewlabel_experiments.combo.augment import CHARACTERS, PUBLISHED, CopyPolicy, changed_copies

IMAGES = np.zeros((60, 56, 56), dtype=np.uint8)
# An L at the upper left: every mirror image differs.
IMAGES[:, 8:32, 8:12] = IMAGES[:, 28:32, 8:24] = 200


def _rng():
    return np.random.default_rng(0)


def test_a_quarter_is_copied_and_of_no_share_nothing():
    nothing, _ = changed_copies(IMAGES, CopyPolicy(share=0.0, sharpen=1.0), _rng())
    assert nothing.shape == (0, 56, 56)
    copies, rows = changed_copies(IMAGES, CHARACTERS, _rng())
    # Both policies copy the same images.
    np.testing.assert_array_equal(rows, changed_copies(IMAGES, PUBLISHED, _rng())[1])
    assert copies.shape == (15, 56, 56)
    assert copies.dtype == np.uint8
    assert (np.diff(rows) > 0).all()
    again, _ = changed_copies(IMAGES, CHARACTERS, _rng())
    np.testing.assert_array_equal(copies, again)
    with pytest.raises(DataError, match=r"\(n, H, W\) uint8. Got \(2, 8, 8, 3\)"):
        changed_copies(np.zeros((2, 8, 8, 3), np.uint8), PUBLISHED, _rng())
    with pytest.raises(UsageError, match=r"'share' of a CopyPolicy must be from 0 to 1\. Got 25"):
        CopyPolicy(share=25)


def test_flips_are_a_third_each_way():
    copies, _ = changed_copies(IMAGES, CopyPolicy(share=1.0, flip=True), _rng())
    kinds = {"plain": IMAGES[0], "across": IMAGES[0][:, ::-1], "down": IMAGES[0][::-1]}
    counts = {k: int((copies == image).all(axis=(1, 2)).sum()) for k, image in kinds.items()}
    assert sum(counts.values()) == 60
    assert min(counts.values()) >= 10


def test_characters_are_never_mirrored():
    copies, _ = changed_copies(IMAGES, CopyPolicy(**{**vars(CHARACTERS), "share": 1.0}), _rng())
    # The most of the ink of an L is left of the middle and below it.
    for copy in copies:
        y, x = np.nonzero(copy > 100)
        assert x.mean() < (x.min() + x.max()) / 2
        assert y.mean() > (y.min() + y.max()) / 2


def test_rotations_stay_within_the_angle():
    bar = np.zeros((200, 56, 56), dtype=np.uint8)
    bar[:, 27:29, 6:50] = 255
    copies, _ = changed_copies(bar, CopyPolicy(share=1.0, rotate=10.0), _rng())
    angles = []
    for copy in copies:
        y, x = np.nonzero(copy > 60)
        angles.append(np.degrees(np.arctan(np.polyfit(x, y, 1)[0])))
    assert -10.5 < min(angles) < -8
    assert 8 < max(angles) < 10.5


def test_sharpening_raises_contrast_in_half_of_the_copies():
    gray = np.full((40, 20, 20), 100, dtype=np.uint8)
    gray[:, :, 10:] = 150
    copies, _ = changed_copies(gray, CopyPolicy(share=1.0, sharpen=1.0), _rng())
    spread = np.ptp(copies.astype(int), axis=(1, 2))
    assert set(np.unique(spread > 50)) == {True, False}
    assert 10 < (spread > 50).sum() < 30
