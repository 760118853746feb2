import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewlabel.data import PixelScale, load_images
from fewlabel.data.folder import _from_folder
from fewlabel.errors import DataError


def reasons(images):
    return {skipped.path: skipped.reason for skipped in images.skipped}


def test_a_messy_folder(save_photo, tmp_path):
    for name in ("b.JPG", "a.png", "deep/er/c.jpeg", "spaces and ünïcode/d.webp"):
        save_photo(name, seed=len(name))
    for name in (".hidden.jpg", ".git/e.jpg", "__MACOSX/f.jpg"):
        save_photo(name)
    (tmp_path / "deep" / "a.png").write_bytes((tmp_path / "a.png").read_bytes())
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "no_suffix").write_text("x")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "IMG_1.HEIC").write_bytes(b"x")
    (tmp_path / "folder.jpg").mkdir()
    calls = []
    passed = r"2 file\(s\) in .* were passed over, .* of an image: (none 1, .txt|.txt 1, none) 1\."
    with pytest.warns(UserWarning, match=passed):
        images = load_images(tmp_path, progress=lambda *call: calls.append(call))
    photos = ("a.png", "b.JPG", "deep/a.png", "deep/er/c.jpeg", "spaces and ünïcode/d.webp")
    assert images.names == photos
    # Exact duplicates share a group.
    assert images.content_groups().tolist() == [0, 1, 0, 2, 3]
    assert not images.by_index
    assert images.truth is None
    assert [s.path for s in images.skipped] == ["IMG_1.HEIC", "empty.jpg", "text.png"]
    assert "convert it to JPEG or PNG" in reasons(images)["IMG_1.HEIC"]
    assert images.native_shape == (30, 40, 3)
    done, total = calls[-1]
    assert done == total >= 5


@pytest.mark.parametrize(
    ("files", "classes"),
    [
        (["cat/a.png", "dog/b.png"], ["cat", "dog"]),
        (["cat/x/a.png", "dog/y/b.png"], ["cat", "dog"]),
        (["test/dog/b.png", "train/cat/a.png"], ["dog", "cat"]),
        (["Train/cat/deep/a.png", "VAL/dog/b.png"], ["cat", "dog"]),
        (["test/dog/b.png", "misc/dog/a.png"], ["dog", "dog"]),
        (["test/b.png", "train/a.png"], None),
        (["a.png", "dog/b.png"], None),
        (["a.png", "b.png"], None),
    ],
)
def test_folders_are_classes(save_photo, tmp_path, files, classes):
    for name in files:
        save_photo(name)
    truth = load_images(tmp_path).truth
    assert (None if truth is None else truth.tolist()) == classes


def test_one_split_of_a_tree(save_photo, tmp_path):
    for name in ("fold1/cat/a.png", "fold1/dog/b.png", "fold2/cat/c.png"):
        save_photo(name)
    images = load_images(tmp_path, split="fold1")
    assert images.names == ("fold1/cat/a.png", "fold1/dog/b.png")
    assert images.truth.tolist() == ["cat", "dog"]
    with pytest.raises(DataError, match="is not a folder; the splits there are fold1, fold2"):
        load_images(tmp_path, split="fold3")
    with pytest.raises(DataError, match="must be the name of a folder"):
        load_images(tmp_path, split="../other")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_are_followed_only_inside(save_photo, tmp_path):
    outside = save_photo("outside/secret.png")
    inside = save_photo("root/real.png")
    root = tmp_path / "root"
    (root / "again.png").symlink_to(inside)
    (root / "escape.png").symlink_to(outside)
    (root / "broken.png").symlink_to(root / "nothing.png")
    (root / "folder").symlink_to(outside.parent)
    (root / "loop").symlink_to(root)
    images = load_images(root)
    assert images.names == ("again.png", "real.png")
    assert images.content_groups().tolist() == [0, 0]
    assert reasons(images) == {
        "broken.png": "a broken link",
        "escape.png": "a link that leads out of the folder",
        "folder": "a link to a folder; links are not followed",
        "loop": "a link to a folder; links are not followed",
    }
    # The folder itself may be a link.
    (tmp_path / "link").symlink_to(root)
    assert load_images(tmp_path / "link").names == images.names


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such names")
def test_names_that_are_not_utf8(tmp_path):
    image = Image.new("RGB", (4, 4))
    image.save(tmp_path / "fine.png")
    odd = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(odd)).write_bytes((tmp_path / "fine.png").read_bytes())
    images = load_images(tmp_path)
    assert images.names == ("caf\\xe9.png", "fine.png")
    "".join(images.names).encode("utf-8")
    assert images.read([0]).shape == (1, 4, 4, 1)
    image.save(tmp_path / "caf\\xe9.png")
    assert list(reasons(load_images(tmp_path))) == ["caf\\xe9.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_and_a_folder_that_cannot_be_listed_are_set_aside(save_photo, tmp_path, monkeypatch):
    save_photo("a.png")
    save_photo("closed/b.png")
    os.mkfifo(tmp_path / "pipe.png")
    scandir = os.scandir

    def refuse(folder):
        if Path(folder).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr("fewlabel.data.folder.os.scandir", refuse)
    assert reasons(load_images(tmp_path)) == {
        "closed": "the folder cannot be opened: Permission denied",
        "pipe.png": "not a regular file",
    }


def test_nothing_readable(tmp_path):
    with pytest.raises(DataError, match="nothing is not a folder"):
        _from_folder(tmp_path / "nothing")
    (tmp_path / "table.csv").touch()
    with pytest.raises(DataError, match=r"holds no images: .* or \.tif are looked for\.$"):
        load_images(tmp_path)
    (tmp_path / "x.RAW").touch()
    with pytest.raises(DataError, match=r"are looked for; there are \.raw 1\.$"):
        load_images(tmp_path)
    (tmp_path / "x.RAW").unlink()
    (tmp_path / "a.jpg").touch()
    (tmp_path / "b.jpg").write_text("x")
    with pytest.raises(DataError, match=r"None of the 2 images of .* first is a\.jpg: the file is"):
        load_images(tmp_path)


def test_one_white_level_for_the_whole_collection(tmp_path):
    for name, value in (("dark.png", 500), ("light.png", 4000)):
        Image.fromarray(np.full((4, 4), value, np.uint16)).save(tmp_path / name)
    images = load_images(tmp_path)
    assert images.scale.integer == (0, 4095)
    assert images.is_gray
    assert images.read([0, 1]).max(axis=(1, 2, 3)).tolist() == [31, 249]
    given = load_images(tmp_path, scale=PixelScale(integer=(0, 65535)))
    assert given.read([0, 1]).max(axis=(1, 2, 3)).tolist() == [2, 16]
