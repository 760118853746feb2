import gzip

import numpy as np
import pytest

from fewlabel.data import load_images
from fewlabel.errors import DataError
from tests.data.test_idx import idx_bytes

PIXELS = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)


def manifest(tmp_path, text):
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_manifest_with_labels(save_photo, tmp_path):
    for name in ("x/b.png", "a.png", "c.png"):
        save_photo(name)
    text = "label,path,note\ncat,x\\b.png,1\n,./a.png,2\ndog,c.png,3\ndog,c.png,4\n"
    images = load_images(manifest(tmp_path, text))
    assert images.names == ("x/b.png", "a.png", "c.png")
    assert images.truth.tolist() == ["cat", "", "dog"]


def test_manifest_sets_files_aside_that_are_missing_unreadable_or_outside(save_photo, tmp_path):
    root = tmp_path / "root"
    save_photo("outside/a.png")
    save_photo("root/a.png")
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "bad.png").touch()
    images = load_images(manifest(root, "path\na.png\nnone.png\nbad.png\nlink/a.png\n"))
    assert images.names == ("a.png",)
    assert images.truth is None
    assert [(s.path, s.reason) for s in images.skipped] == [
        ("bad.png", "the file is empty (0 bytes)"),
        ("link/a.png", "a link that leads out of the folder"),
        ("none.png", "the file does not exist (list.csv, line 3)"),
    ]


def test_a_manifest_finds_what_a_label_table_finds(save_photo, tmp_path):
    names = ("root/cafe\u0301.png", "root/ lead.png", "root/back\\slash.png", "root/x/b c.png")
    for name in names:
        save_photo(name)
    rows = ["caf\u00e9.png", '" lead.png"', "back\\slash.png", "/elsewhere/root/x/b%20c.png"]
    images = load_images(manifest(tmp_path / "root", "\n".join(["path", *rows])))
    assert [f"root/{name}" for name in images.names] == list(names)
    with pytest.raises(DataError, match=r"line 1: .* names an image, so the header is missing"):
        load_images(manifest(tmp_path / "root", " lead.png\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path\na.png\n../up.png\n", r"list.csv, line 3: \.\./up.png leads out"),
        ("path\nx\\..\\..\\up.png\n", "line 2: .* leads out"),
        ("path\n/etc/a.png\n", "line 2: /etc/a.png is an absolute path"),
        ("path\nC:\\a.png\n", "line 2: C:/a.png is an absolute path"),
        ("path\nhttps://x/a.png\n", "line 2: https://x/a.png is an address"),
        ('path,label\n"",cat\n', "line 2: the path is blank"),
        ("path,label\na.png,cat\nb.png,cat\n./a.png,dog\n", "line 4: a.png is labeled 'dog', but"),
        ("photo,label\na.png,cat\n", "line 1: the header has no column `path`"),
        ("path\nnone.png\n", "None of the 1 images of .* first is none.png: the file does not"),
    ],
)
def test_wrong_manifests_are_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        load_images(manifest(tmp_path, text))


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("labels_suffix", ["", ".gz"])
def test_idx_with_its_labels(tmp_path, suffix, labels_suffix):
    path = tmp_path / f"train-images.idx3-ubyte{suffix}"
    labels = tmp_path / f"train-labels.idx1-ubyte{labels_suffix}"

    def put(file, array):
        data = idx_bytes(array)
        file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)

    put(path, PIXELS)
    assert load_images(path).truth is None
    put(labels, np.array([7, 1], np.uint8))
    images = load_images(path)
    assert images.native_shape == (4, 3, 1)
    assert images.truth.tolist() == ["7", "1"]
    put(labels, np.array([7], np.uint8))
    with pytest.raises(DataError, match=r"has shape \(1,\), but .* holds 2 images"):
        load_images(path)
    with pytest.raises(DataError, match="give the file of images"):
        load_images(labels)


def test_folder_of_idx_files(tmp_path):
    for split, pixels in (("train", PIXELS), ("t10k", PIXELS[:1] + 100)):
        (tmp_path / f"{split}-images-idx3-ubyte").write_bytes(idx_bytes(pixels))
        labels = np.arange(len(pixels), dtype=np.uint8)
        (tmp_path / f"{split}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    pooled = load_images(tmp_path)
    assert pooled.read(range(3))[:, 0, 0, 0].tolist() == [0, 12, 100]
    assert pooled.truth.tolist() == ["0", "1", "0"]
    assert len(load_images(tmp_path, split="test")) == 1
    with pytest.raises(DataError, match=r"has the splits train and test. Got 'val'"):
        load_images(tmp_path, split="val")
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    assert len(load_images(tmp_path)) == 2
    with pytest.raises(DataError, match=r"has no file t10k-images-idx3-ubyte.gz"):
        load_images(tmp_path, split="test")
