import os
import socket
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fewlabel.data import load_images, read_labels
from fewlabel.errors import UsageError
from fewlabel.files import _check_new_folder
from fewlabel.reading import _max_bytes, _open_regular, _open_zip, _read_regular, _release_mapped
from tests.hostile import not_refused, not_regular


def test_only_regular_files_are_opened(tmp_path):
    (tmp_path / "whole").write_bytes(b"x")
    (tmp_path / "link").symlink_to("whole")
    for name in ("whole", "link"):
        with _open_regular(tmp_path / name) as file:
            assert file.read() == b"x"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for path in [*not_regular(tmp_path, ""), tmp_path / "socket", "/dev/zero"]:
            with pytest.raises(OSError, match=r"No such|Too many|it is a .*, not a regular file"):
                _open_regular(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 8 << 30),
        ("123", 123),
        ("16G", 16 << 30),
        ("2 M", None),
        ("1k", 1024),
        ("3tib", 3 << 40),
    ],
)
def test_the_bound_is_a_setting(monkeypatch, text, expected):
    monkeypatch.setenv("FEWLABEL_MAX_BYTES", text)
    if expected is not None:
        assert _max_bytes() == expected
    else:
        with pytest.raises(UsageError, match=r"a number of bytes, such as 16G\. Got '2 M'"):
            _max_bytes()


def test_a_file_that_is_too_long_is_not_read(tmp_path):
    (tmp_path / "a.csv").touch()
    # It is sparse: it takes no room on the disk.
    os.truncate(tmp_path / "a.csv", 2**40)
    with pytest.raises(OSError, match=r"1,099.5 GB, more than the 67,108,864 bytes .* FEWL"):
        _read_regular(tmp_path / "a.csv")
    (tmp_path / "b").write_bytes(b"four")
    assert _read_regular(tmp_path / "b", 4) == b"four"
    with pytest.raises(OSError, match="4 bytes, more than the 3 bytes"):
        _read_regular(tmp_path / "b", 3)


def test_an_archive_counts_what_is_unpacked(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a", "b"):
            archive.writestr(name, bytes(700))
    monkeypatch.setenv("FEWLABEL_MAX_BYTES", "1k")
    with _open_zip(tmp_path / "a.zip", ["a"]) as archive:
        assert archive.read("a") == bytes(700)
    with pytest.raises(OSError, match="1,400 bytes"), _open_zip(tmp_path / "a.zip"):
        pass


def test_tables_are_regular_files(tmp_path):
    image = tmp_path / "a.png"
    image.write_bytes(b"")
    images = load_images("digits")
    paths = list(not_regular(tmp_path, ".csv"))
    assert not_refused(paths, lambda path: read_labels(path, images)) == []
    assert not_refused(paths, load_images) == []


def test_a_pipe_in_an_old_run_folder_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "metrics.json")
    with pytest.raises(UsageError, match="was not written by fewlabel"):
        _check_new_folder(tmp_path, force=True)


def resident(file: Path) -> int:
    """Bytes of a mapped file that this process holds."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    held = [i for i, line in enumerate(lines) if line.endswith(str(file))]
    return sum(
        int(next(line for line in lines[i:] if line.startswith("Rss:")).split()[1]) * 1024
        for i in held
    )


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_was_read_of_a_mapped_file_is_given_back(tmp_path):
    file, pixels = tmp_path / "images.npy", np.arange(4 << 20, dtype=np.uint8).reshape(-1, 32, 32)
    np.save(file, pixels)
    images = load_images(file)
    for _, block in images.blocks(2_048, size=(32, 32), channels=1):
        assert block.shape[1:] == (32, 32, 1)
        assert resident(file) == 0
    for number, _ in enumerate(images._store.digests(images._rows)):
        # The system tells slowly.
        assert number % 1_500 or resident(file) == 0
    assert len(images.subset(range(2_000))) == 2_000
    assert resident(file) == 0
    assert np.array_equal(
        images.read([4_000], size=(32, 32), channels=1)[0, :, :, 0], pixels[4_000]
    )


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_was_written_to_a_private_copy_stays(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(8 << 10, np.uint8))
    for mode, kept in (("c", True), ("r", False)):
        mapped = np.load(tmp_path / "a.npy", mmap_mode=mode)
        if mapped.flags.writeable:
            mapped[:] = 7
        assert mapped.max() == 7 * kept
        held = resident(tmp_path / "a.npy")
        _release_mapped(mapped[1:].view(np.ndarray)[:9])
        assert mapped.max() == 7 * kept
        assert held > 0
        del mapped
