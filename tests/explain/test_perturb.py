import numpy as np
import pytest

from fewlabel.errors import UsageError
from fewlabel.explain.perturb import _fill_image, _Perturber

SEGMENTS = np.array([[0, 0, 1], [0, 0, 1], [2, 2, 1]])


def test_what_is_not_kept_is_filled_and_the_model_is_called_once_a_batch():
    image = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    seen = []

    def predict(images):
        seen.append(images)
        return np.ones((len(images), 2)) / 2

    perturber = _Perturber(predict, image, np.full_like(image, 200), batch_size=4)
    keep = np.ones((10, 3, 3), bool)
    keep[3, 1, 2] = False
    assert perturber.in_batches(keep).shape == (10, 2)
    assert [len(images) for images in seen] == [4, 4, 2]
    assert seen[0].dtype == np.uint8
    np.testing.assert_array_equal(seen[0][0], image)
    changed = image.copy()
    changed[1, 2] = 200
    np.testing.assert_array_equal(seen[0][3], changed)
    # Large images are predicted fewer at a time.
    images = (np.zeros((side, side, 3), np.uint8) for side in (28, 300, 4000))
    sizes = [_Perturber(lambda x: x, image, image).batch_size for image in images]
    assert sizes[0] == 128 > sizes[1] > sizes[2] == 16


@pytest.mark.parametrize("answer", [np.ones(3), np.ones((2, 4)), np.full((3, 2), np.nan)])
def test_a_model_that_answers_nonsense_is_refused(answer):
    image = np.zeros((2, 2, 1), np.uint8)
    with pytest.raises(UsageError, match="predict_proba must give 3 rows of finite"):
        _Perturber(lambda x: answer, image, image)(np.ones((3, 2, 2), bool))


def test_each_fill():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (3, 3, 2), dtype=np.uint8)
    mean, _ = _fill_image(image, SEGMENTS, "mean")
    for k in range(3):
        expected = np.rint(image[k == SEGMENTS].mean(axis=0))
        np.testing.assert_array_equal(np.unique(mean[k == SEGMENTS], axis=0), expected[None])
    assert (_fill_image(image, SEGMENTS, "gray")[0] == 128).all()
    noise = rng.integers(0, 256, (32, 32, 1), dtype=np.uint8)
    blurred, _ = _fill_image(noise, np.zeros((32, 32), int), "blur")
    assert blurred.std() < noise.std() / 5
    assert abs(blurred.mean() - noise.mean()) < 10
    with pytest.raises(UsageError, match=r"fill must be one of auto, background, .*'white'"):
        _fill_image(image, SEGMENTS, "white")

    # On a plain background parts vanish into it.
    image = np.full((9, 9, 3), (10, 20, 30), np.uint8)
    image[3:6, 3:6] = 200
    filled, fill = _fill_image(image, np.zeros((9, 9), int))
    assert fill == "background"
    assert (filled == (10, 20, 30)).all()
    busy = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    assert _fill_image(busy, np.zeros((9, 9), int))[1] == "mean"
