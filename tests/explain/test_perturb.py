import numpy as np
import pytest

from fewlabel.errors import DataError, MissingExtraError, UsageError
from fewlabel.explain import perturb as module
from fewlabel.explain.perturb import _fill_image, _grid, _Perturber, _superpixels

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


def photo(side, channels=3):
    """Smooth patches of color with some noise."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (4, 4, channels)).repeat(side // 4, 0).repeat(side // 4, 1)
    return np.clip(coarse + rng.normal(0, 4, coarse.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("shape", "n_segments"),
    [((28, 28, 1), 49), ((8, 8, 1), 16), ((32, 32, 3), 64), ((3, 5, 1), 12), ((1, 2, 1), 2)],
)
def test_small_images_get_a_grid_of_several_cells(shape, n_segments):
    found = _superpixels(np.zeros(shape, np.uint8))
    assert (found.method, found.note) == ("grid", "")
    assert found.segments.max() + 1 == n_segments
    counts = np.bincount(found.segments.ravel())
    assert counts.min() >= 1
    assert counts.max() <= 4 * counts.min()


@pytest.mark.parametrize("channels", [1, 3])
def test_photos_get_superpixels_that_follow_the_image(channels):
    image = photo(96, channels)
    found = _superpixels(image)
    assert found.method == "slic"
    assert 20 <= found.segments.max() + 1 <= 80
    assert set(np.unique(found.segments)) == set(range(found.segments.max() + 1))

    def spread(segments):
        rows = image.reshape(-1, channels).astype(float)
        means = [rows[segments.ravel() == k].mean(0) for k in range(segments.max() + 1)]
        return np.square(rows - np.array(means)[segments.ravel()]).mean()

    # Cells of the same number cut across the patches of color.
    assert spread(found.segments) < spread(_grid(96, 96, found.segments.max() + 1)) / 2


def test_where_slic_finds_too_few_the_grid_steps_in_and_says_so(monkeypatch):
    found = _superpixels(np.full((100, 80, 3), 77, np.uint8))
    assert found.segments.max() + 1 >= 20
    monkeypatch.setattr(module, "_slic", lambda image, n: np.zeros(image.shape[:2], np.int64))
    found = _superpixels(photo(64))
    assert (found.method, found.segments.max() + 1) == ("grid", 64)
    assert "only 1 in this image" in found.note


def test_without_scikit_image_the_grid_is_not_silent(monkeypatch):
    monkeypatch.setattr(module, "is_installed", lambda name: False)
    found = _superpixels(photo(64))
    assert found.method == "grid"
    assert "scikit-image is not installed" in found.note
    assert "pip install 'fewlabel[explain]'" in found.note
    monkeypatch.setattr("fewlabel.extras.is_installed", lambda name: False)
    with pytest.raises(MissingExtraError, match=r"superpixels needs the package 'skimage'"):
        _superpixels(photo(64), method="slic")


def test_a_grid_has_about_as_many_cells_as_asked_for_where_it_can():
    for n_segments in (2, 3, 10, 100):
        found = _grid(30, 60, n_segments).max() + 1
        assert max(2, n_segments / 2) <= found <= 2 * n_segments
    with pytest.raises(DataError, match="one pixel cannot be divided"):
        _superpixels(np.zeros((1, 1, 3), np.uint8))
    with pytest.raises(UsageError, match=r"method must be one of auto, grid, slic. Got 'quick'"):
        _superpixels(photo(8), method="quick")
    with pytest.raises(UsageError, match=r"n_segments must be at least 2. Got 1"):
        _superpixels(photo(8), n_segments=1)
