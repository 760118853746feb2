import os
import shutil

import numpy as np
import pytest

from fewlabel.data import ImageSet, image_set_from_array, load_images
from fewlabel.errors import DataError


@pytest.fixture
def mixed(save_photo, tmp_path):
    for number, size in enumerate([(40, 30), (30, 40), (64, 64)]):
        save_photo(f"{number}.png", seed=number, size=size)
    return load_images(tmp_path)


def test_images_of_different_size_need_one(mixed):
    assert mixed.native_shape is None
    with pytest.raises(DataError, match="differ in size: give a size"):
        mixed.read([0, 1])
    assert mixed.read([0, 1], size=(8, 9)).shape == (2, 8, 9, 3)
    assert mixed.subset([1]).native_shape == mixed.subset([1]).read([0]).shape[1:] == (40, 30, 3)


def test_blocks_are_what_read_gives_in_any_order(mixed):
    blocks = list(mixed.blocks(2, size=(8, 8), channels=1))
    assert [where for where, _ in blocks] == [slice(0, 2), slice(2, 3)]
    whole = mixed.read(slice(None), size=(8, 8), channels=1)
    assert np.array_equal(np.concatenate([pixels for _, pixels in blocks]), whole)
    assert whole.dtype == np.uint8
    assert np.array_equal(mixed.read([2, 0, 2], size=(8, 8), channels=1), whole[[2, 0, 2]])
    assert mixed.read([], size=(6, 6)).shape == (0, 6, 6, 3)


def test_a_subset_keeps_names_labels_and_channels(save_photo, tmp_path):
    save_photo("cat/a.png", size=(4, 4))
    save_photo("dog/b.png", size=(4, 4), mode="L")
    images = load_images(tmp_path)
    gray = images.subset(np.array([1]))
    assert gray.names == ("dog/b.png",)
    assert gray.truth.tolist() == ["dog"]
    # As in the whole set: what is trained on part of it must fit the rest.
    assert gray.native_shape == (4, 4, 3)
    assert gray.path(0) == tmp_path / "dog" / "b.png"


def test_a_file_that_changes_is_named_and_one_that_is_only_touched_is_not(save_photo, tmp_path):
    for number in range(3):
        save_photo(f"{number}.png", seed=number)
    images, file = load_images(tmp_path), tmp_path / "1.png"
    before, whole, times = images.read(range(3)), file.read_bytes(), file.stat()
    file.touch()
    np.testing.assert_array_equal(images.read(range(3)), before)
    # Of another picture, with the same time of writing, as copies have it.
    shutil.copy(tmp_path / "2.png", file)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    message = r"1\.png has changed since the work began, and its label .*: put the file back, or"
    with pytest.raises(DataError, match=message):
        images.read([1])
    np.testing.assert_array_equal(images.read([0, 2]), before[[0, 2]])
    file.write_bytes(whole)
    np.testing.assert_array_equal(images.read(range(3)), before)


def test_a_file_that_vanishes_is_named(mixed, tmp_path):
    (tmp_path / "1.png").unlink()
    with pytest.raises(DataError, match=r"1\.png could be read when the work began, but not now"):
        mixed.read([0, 1, 2], size=(8, 8))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"channels": 2}, "channels must be 1, 3 or None. Got 2"), ({"size": (0, 5)}, "positive")],
)
def test_wrong_parameters_are_named(mixed, options, message):
    with pytest.raises(DataError, match=message):
        mixed.read([0], **options)


def test_names_must_fit_and_groups_cannot_be_changed_from_outside():
    images = image_set_from_array(np.zeros((2, 3, 3)))
    with pytest.raises(ValueError, match="1 names were given for 2 images"):
        ImageSet(images._store, names=["a"], source="x", by_index=False)
    images.content_groups()[:] = 9
    assert images.content_groups().tolist() == [0, 0]
    assert images.path(0) is None


@pytest.mark.parametrize(
    ("side", "sizes"),
    # Sizes of the same shape as the images are not cropped, and not computed by Pillow.
    [(40, [(30, 40), (16, 16), (9, 9), (45, 60), (9, 12)]), (30, [(32, 32), (10, 14), (28, 28)])],
)
def test_files_and_arrays_give_the_same_pixels(save_photo, tmp_path, side, sizes):
    for number in range(4):
        save_photo(f"{number}.png", seed=number, size=(side, 30))
    files = load_images(tmp_path)
    arrays = image_set_from_array(files.read(range(4)))
    for size in sizes:
        difference = files.read(range(4), size=size).astype(int) - arrays.read(range(4), size=size)
        assert np.abs(difference).max() <= 1


def test_blocks_of_arrays_do_not_show():
    rng = np.random.default_rng(0)
    images = image_set_from_array(rng.integers(0, 256, (1500, 6, 6, 1), dtype=np.uint8))
    whole = images.read(range(1500), size=(4, 4))
    assert np.array_equal(whole[1300:1310], images.read(range(1300, 1310), size=(4, 4)))
