import numpy as np
import pytest

from fewlabel.data import load_images
from fewlabel.errors import DataError


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no/such/folder", "no/such/folder does not exist, and the benchmarks are digits"),
        ("fashion_mnist", "did you mean 'fashion-mnist'"),
        ("digits:val", "digits has the splits train, test. Got 'val'"),
        ("nothing:train", "nothing:train does not exist"),
        ("x" * 5000, "does not exist"),
        ("nul\0byte", "does not exist"),
    ],
)
def test_a_source_that_is_not_there(source, message):
    with pytest.raises(DataError, match=message):
        load_images(source)


def test_one_file(save_photo, tmp_path):
    images = load_images(save_photo("deep/a.png"))
    assert images.names == ("a.png",)
    assert images.truth is None
    (tmp_path / "a.txt").touch()
    with pytest.raises(DataError, match=r"a.txt is of no known form: give a folder"):
        load_images(tmp_path / "a.txt")
    np.savez(tmp_path / "a.npz", X=np.zeros((1, 2, 2)))
    with pytest.raises(DataError, match="is one file and has no split 'train'"):
        load_images(tmp_path / "a.npz", split="train")


def test_a_path_comes_before_a_benchmark_and_home_is_expanded(save_photo, tmp_path, monkeypatch):
    save_photo("digits/a.png")
    assert load_images("digits:test").source == "digits:test"
    monkeypatch.chdir(tmp_path)
    assert load_images("digits").names == ("a.png",)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert load_images("~/digits").names == ("a.png",)
