import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fewlabel.data import load_images
from fewlabel.errors import DataError
from tests.data.conftest import at_most
from tests.hostile import GOOD, not_refused, not_regular, npy, npz, npz_files

PIXELS = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)


def test_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, X=PIXELS, y=np.array(["cat", "dog"]))
    images = load_images(path)
    assert np.array_equal(images.read([0, 1])[..., 0], PIXELS)
    assert images.truth.tolist() == ["cat", "dog"]
    np.savez(path, X=PIXELS)
    assert load_images(path).truth is None


def test_npy_is_mapped_with_its_labels(tmp_path):
    np.save(tmp_path / "images.npy", PIXELS)
    assert load_images(tmp_path / "images.npy").truth is None
    np.save(tmp_path / "labels.npy", np.array([3, -1]))
    images = load_images(tmp_path / "images.npy")
    assert np.array_equal(images.read([1, 0])[..., 0], PIXELS[::-1])
    assert images.truth.tolist() == ["3", ""]
    pixels = images._store.pixels
    while isinstance(pixels.base, np.ndarray):
        pixels = pixels.base
    assert isinstance(pixels, np.memmap)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("images.npy", lambda data: data[:-1], r"images.npy cannot be read as a .npy file"),
        ("images.npy", lambda data: b"rubbish", r"images.npy cannot be read as a .npy file"),
        ("labels.npy", lambda data: data[:-8], r"labels.npy cannot be read as a .npy file"),
    ],
)
def test_damaged_npy_is_refused(tmp_path, name, damage, message):
    np.save(tmp_path / "images.npy", PIXELS)
    np.save(tmp_path / "labels.npy", np.array([3, 4]))
    (tmp_path / name).write_bytes(damage((tmp_path / name).read_bytes()))
    with pytest.raises(DataError, match=message):
        load_images(tmp_path / "images.npy")


def test_npy_of_other_lengths_or_objects_is_refused(tmp_path):
    np.save(tmp_path / "images.npy", PIXELS)
    np.save(tmp_path / "labels.npy", np.array([3, 4, 5]))
    with pytest.raises(DataError, match=r"labels.npy has shape \(3,\), but images.npy holds 2"):
        load_images(tmp_path / "images.npy")
    np.save(tmp_path / "labels.npy", np.array([3, None], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"cannot be read as a \.npy file"):
        load_images(tmp_path / "images.npy")


def test_npz_with_objects_is_refused_and_runs_nothing(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "a.npz"
    np.savez(path, X=PIXELS, y=np.array([Bomb(), Bomb()], dtype=object))
    with pytest.raises(DataError, match="holds Python objects, which are not loaded"):
        load_images(path)
    assert not (tmp_path / "ran").exists()


def test_npz_with_a_lying_header_takes_no_memory(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"shape": (10**7, 100, 100), "fortran_order": False, "descr": "|u1"}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("X.npy", header.getvalue() + bytes(100))
    with pytest.raises(DataError, match=r"X.npy promises 100,000,000,000 bytes"):
        load_images(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"", "is not a .npz file, or is damaged"),
        (lambda data: b"rubbish", "is not a .npz file, or is damaged"),
        (lambda data: b"PK\x03\x04rubbish", "is not a .npz file, or is damaged"),
        (
            lambda data: data[:5000] + b"0123456789" + data[5010:],
            "is not a .npz file, or is damaged",
        ),
    ],
)
def test_what_is_no_npz(tmp_path, damage, message):
    path = tmp_path / "a.npz"
    np.savez(path, images=PIXELS)
    with pytest.raises(DataError, match="has no array X; it holds images"):
        load_images(path)
    np.savez(path, X=np.zeros((50, 50, 50), np.uint8))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=message):
        load_images(path)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["u1", "<f4", ">i2", "?"])
def test_every_version_order_and_kind_of_numbers(tmp_path, version, order, dtype):
    pixels = np.asarray(PIXELS % 2, dtype=dtype, order=order)
    file = io.BytesIO()
    np.lib.format.write_array(file, pixels, version=(version, 0))
    images = load_images(npz(tmp_path / "a.npz", ("X.npy", file.getvalue())))
    assert np.array_equal(images.read([0, 1])[..., 0] > 0, pixels > 0)


def test_no_hostile_archive_gets_through(tmp_path):
    paths = [*npz_files(tmp_path), *not_regular(tmp_path, ".npz")]
    with at_most(20e6):
        assert not_refused(paths, load_images) == []


def test_a_bound_on_what_an_archive_unpacks_to(tmp_path, monkeypatch):
    path = npz(tmp_path / "a.npz", ("X.npy", npy(shape="(10, 1000, 1000)", data=bytes(10**7))))
    assert path.stat().st_size < 20_000
    # One array and what it takes to unpack it, not a copy of it.
    with at_most(1.5e7):
        assert len(load_images(path)) == 10
    monkeypatch.setenv("FEWLABEL_MAX_BYTES", "5M")
    with pytest.raises(
        DataError, match=r"holds 10,.* bytes, more than the 5,242,880 bytes .* FEWL"
    ):
        load_images(path)
    # What is not unpacked does not count.
    path = npz(tmp_path / "b.npz", ("X.npy", GOOD), ("features.npy", bytes(10**7)))
    assert len(load_images(path)) == 2
