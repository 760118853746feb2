import dataclasses
import gzip
import hashlib
import http.server
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fewlabel.data import (
    benchmarks,
    cache_folder,
    get_benchmark,
    list_benchmarks,
    load_benchmark,
)
from fewlabel.data.catalog import BENCHMARKS
from fewlabel.data.download import _RemoteFile
from fewlabel.errors import DataError, DownloadError
from tests.data.conftest import serving
from tests.data.test_formats import idx_bytes

needs_data = pytest.mark.skipif("FEWLABEL_DATA" not in os.environ, reason="needs FEWLABEL_DATA")


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """Point to an empty cache and no data."""
    monkeypatch.delenv("FEWLABEL_DATA", raising=False)
    monkeypatch.setenv("FEWLABEL_CACHE", str(tmp_path / "cache"))
    return tmp_path


def small_idx_files(n_train=6, n_test=3):
    rng = np.random.default_rng(0)
    files = {}
    for prefix, n in (("train", n_train), ("t10k", n_test)):
        files[f"{prefix}-images-idx3-ubyte.gz"] = rng.integers(0, 256, (n, 4, 4), dtype=np.uint8)
        files[f"{prefix}-labels-idx1-ubyte.gz"] = np.arange(n, dtype=np.uint8)
    return {name: gzip.compress(idx_bytes(array)) for name, array in files.items()}


def put(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def test_digits_are_always_there(bare):
    train, test = load_benchmark("digits", "train"), load_benchmark("digits", "test")
    whole = load_benchmark("digits")
    assert (len(train), len(test), len(whole)) == (1297, 500, 1797)
    assert whole.read(slice(10)).max() == 255
    assert whole.native_shape == (8, 8, 1)
    shares = [np.mean(images.truth == "3") for images in (train, test, whole)]
    assert max(shares) - min(shares) < 0.002
    seen = {image.tobytes() for image in train.read(slice(None))}
    assert not seen & {image.tobytes() for image in test.read(slice(None))}
    assert get_benchmark("digits").is_dir()


def test_own_files_come_before_the_cache(bare, monkeypatch):
    put(bare / "own" / "mnist", small_idx_files())
    put(bare / "cache" / "mnist", small_idx_files(n_train=9))
    put(bare / "cache" / "letters", small_idx_files())
    put(bare / "cache" / "fashion-mnist", dict(list(small_idx_files().items())[:3]))
    assert len(load_benchmark("mnist", "train")) == 9
    monkeypatch.setenv("FEWLABEL_DATA", str(bare / "own"))
    assert len(load_benchmark("mnist", "train")) == 6
    assert len(load_benchmark("mnist")) == 9
    assert get_benchmark("mnist") == bare / "own" / "mnist"
    assert {info.name: info.where for info in list_benchmarks()} == {
        "digits": "built in",
        "fashion-mnist": None,
        "mnist": bare / "own" / "mnist",
        "letters": bare / "cache" / "letters",
        "emnist-letters": None,
        "grocery": None,
        "eurosat": None,
    }


def test_labels_have_the_names_of_the_classes(bare):
    put(bare / "cache" / "fashion-mnist", small_idx_files())
    images = load_benchmark("fashion-mnist", "test")
    assert images.truth.tolist() == ["T-shirt/top", "Trouser", "Pullover"]
    assert images.source == "fashion-mnist:test"
    put(bare / "cache" / "mnist", small_idx_files(n_train=12))
    with pytest.raises(DataError, match="labels from 0 to 11; mnist has 10 classes"):
        load_benchmark("mnist")


def test_grocery_is_a_tree(bare, save_photo):
    for name in ("train/Apple/a.jpg", "val/Pear/b.jpg", "test/Apple/c.jpg"):
        save_photo(f"cache/grocery/{name}")
    images = load_benchmark("grocery")
    assert images.truth.tolist() == ["Apple", "Apple", "Pear"]
    assert images.source == "grocery"
    assert load_benchmark("grocery", "val").names == ("val/Pear/b.jpg",)


def test_eurosat_is_a_tree_without_splits(bare, save_photo):
    (bare / "cache" / "eurosat" / "River").mkdir(parents=True)
    with pytest.raises(DataError, match="eurosat is not on this machine"):
        load_benchmark("eurosat")
    for name in ("River/a.jpg", "Forest/b.jpg"):
        save_photo(f"cache/eurosat/{name}")
    images = load_benchmark("eurosat")
    assert (images.truth.tolist(), images.source) == (["Forest", "River"], "eurosat")
    with pytest.raises(DataError, match="eurosat has no splits: leave 'train' out"):
        load_benchmark("eurosat", "train")


def test_emnist_letters_takes_no_notice_of_further_files(bare):
    case = {"train-case-idx1-ubyte.gz": b"", "t10k-case-idx1-ubyte.gz": b""}
    put(bare / "cache" / "emnist-letters", small_idx_files() | case)
    images = load_benchmark("emnist-letters", "test")
    assert images.truth.tolist() == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("mnist", None, r"mnist is not on this machine: run `fewlabel data get mnist`"),
        ("nothing", None, "There is no benchmark 'nothing': choose among digits"),
        ("mnist", "val", "mnist has the splits train, test. Got 'val'"),
        ("grocery", "dev", "grocery has the splits train, val, test. Got 'dev'"),
    ],
)
def test_what_cannot_be_loaded(bare, name, split, message):
    with pytest.raises(DataError, match=message):
        load_benchmark(name, split)


def change_mnist(monkeypatch, **changes):
    changed = dataclasses.replace(BENCHMARKS["mnist"], **changes)
    monkeypatch.setattr(benchmarks, "BENCHMARKS", {"mnist": changed})


def test_get_fetches_what_is_missing_into_the_cache(bare, monkeypatch):
    files = small_idx_files()
    put(bare / "mirror", files)
    put(bare / "cache" / "mnist", {name: files[name] for name in list(files)[:1]})
    remote = tuple(
        _RemoteFile(name, len(data), hashlib.sha256(data).hexdigest())
        for name, data in files.items()
    )
    calls: list[tuple[int, int]] = []
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=bare / "mirror")
    monkeypatch.setattr(handler.func, "log_message", lambda *args: None)
    with serving(handler) as address:
        change_mnist(monkeypatch, files=remote, mirrors=(f"{address}/",))
        folder = get_benchmark("mnist", progress=lambda *call: calls.append(call))
    assert folder == cache_folder() / "mnist"
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == files
    total = sum(map(len, files.values()))
    assert calls[-1] == (total, total)
    assert calls[0][0] > len(files["train-images-idx3-ubyte.gz"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("letters", "no public mirror .* make a folder letters with the files train-images"),
        ("emnist-letters", "nist.gov/.* make a folder emnist-letters with the files train-images"),
        ("eurosat", "zenodo.org/.* make a folder eurosat with one folder a class, and set"),
    ],
)
def test_what_has_no_mirror_is_put_in_place_by_hand(bare, name, text):
    with pytest.raises(DownloadError, match=f"{name} cannot be downloaded.*{text}"):
        get_benchmark(name)


def test_a_failed_download_says_what_to_do_by_hand(bare, monkeypatch):
    change_mnist(monkeypatch, mirrors=("http://127.0.0.1:1/",))
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    by_hand = (
        r"train-images-idx3-ubyte.gz could not be fetched.* make a folder mnist with the files "
        r"train-images-idx3-ubyte.gz.* set FEWLABEL_DATA to the folder above it"
    )
    with pytest.raises(DownloadError, match=f"(?s){by_hand}"):
        get_benchmark("mnist")


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, Path("/x/fewlabel")),
        ("linux", {}, Path("/home/me/.cache/fewlabel")),
        ("darwin", {}, Path("/home/me/Library/Caches/fewlabel")),
        ("win32", {"LOCALAPPDATA": "/local"}, Path("/local/fewlabel")),
        ("linux", {"FEWLABEL_CACHE": "/mine"}, Path("/mine")),
    ],
)
def test_cache_folder(monkeypatch, platform, variables, expected):
    for name in ("FEWLABEL_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr("sys.platform", platform)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == expected


@needs_data
@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "split", "n", "n_classes", "mean"),
    [
        ("fashion-mnist", "train", 60_000, 10, 0.28604),
        ("mnist", "train", 60_000, 10, 0.13066),
        ("emnist-letters", "train", 48_682, 26, 0.17474),
        ("emnist-letters", "test", 9_723, 26, None),
        ("grocery", "val", 296, 37, None),
        ("eurosat", None, 4_000, 10, None),
    ],
)
def test_real_data(name, split, n, n_classes, mean):
    images = load_benchmark(name, split)
    assert len(images) == n
    assert len(set(images.truth)) == n_classes
    assert images.skipped == ()
    if mean is not None:
        assert abs(images.read(slice(None)).mean() / 255 - mean) < 1e-5
    assert images.read(range(8), size=(32, 32)).shape[:3] == (8, 32, 32)
