"""Every mistake of the list "Bad input" ends with one clear line, and nothing is lost."""

from __future__ import annotations

import resource
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewlabel.cli.console import ProgressBars
from tests.cli.conftest import QUICK, Run, Start, refused


def _files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def _label(tmp_path: Path, *rows: str) -> Path:
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["path,label", *rows]) + "\n")
    return table


def test_no_images(run_cli: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    before = _files(tmp_path)
    for command in (
        ("select", tmp_path / "empty", "--budget", 5, "--out", tmp_path / "picks.csv"),
        ("fit", tmp_path / "empty", "--labels", "folders", "--out", tmp_path / "run"),
    ):
        refused(run_cli(*command), f"{tmp_path}/empty holds no images", ".jpg, .png or .tif")
    assert _files(tmp_path) == before


def test_a_path_that_does_not_exist(run_cli: Run, tmp_path: Path, label_table: Path) -> None:
    before = _files(tmp_path)
    nowhere = tmp_path / "nowhere"
    for command in (
        ("select", nowhere, "--budget", 5, "--out", tmp_path / "picks.csv"),
        ("fit", nowhere, "--labels", label_table, "--out", tmp_path / "run"),
    ):
        refused(run_cli(*command), f"{nowhere} does not exist", "check the path")
    refused(
        run_cli("fit", "photos", "--labels", nowhere, "--out", tmp_path / "run"),
        f"{nowhere} does not exist",
    )
    for command in (
        ("predict", nowhere, "digits", "--out", tmp_path / "p.csv"),
        ("evaluate", nowhere, "digits", "--labels", "folders"),
    ):
        refused(run_cli(*command), str(nowhere))
    assert _files(tmp_path) == before


def test_all_files_unreadable(run_cli: Run, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_text("no image")
    (photos / "b.png").write_bytes(b"")
    before = _files(tmp_path)
    result = run_cli("select", photos, "--budget", 1, "--out", tmp_path / "picks.csv")
    refused(result, "None of the 2 images", "a.jpg: the content is not an image")
    assert _files(tmp_path) == before


def test_a_truncated_jpeg_is_set_aside(
    run_cli: Run, tmp_path: Path, photos: Path, label_table: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(photos / "cut.jpg")
    (photos / "cut.jpg").write_bytes((photos / "cut.jpg").read_bytes()[:1500])
    out = tmp_path / "run"
    result = run_cli("fit", photos, "--labels", label_table, "--out", out, *QUICK)
    assert result.exit_code == 0, result.output
    assert "warning: 1 file(s) were set aside, cut.jpg first" in result.stderr
    assert "cut.jpg,the file is damaged or truncated" in (out / "skipped.csv").read_text()
    assert "cut.jpg" not in (out / "predictions.csv").read_text()


def _huge_png(path: Path, side: int = 30_000) -> None:
    """A whole PNG of 30,000 x 30,000 black pixels, one bit each: about 110 kB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    compressor = zlib.compressobj(9)
    row = b"\0" * (1 + side // 8)
    pixels = b"".join(compressor.compress(row) for _ in range(side)) + compressor.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def test_a_huge_png_is_set_aside_without_filling_the_memory(
    run_cli: Run, tmp_path: Path, photos: Path
) -> None:
    _huge_png(photos / "huge.png")
    assert (photos / "huge.png").stat().st_size < 200_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = run_cli("select", photos, "--budget", 3, "--out", tmp_path / "picks.csv", *QUICK)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert result.exit_code == 0, result.output
    assert "huge.png: the image has 900 megapixels" in result.stderr
    # Decoded it would take 900 MB; the packages that are imported meanwhile take some too.
    assert grown_mb < 600


def test_labels_for_files_that_do_not_exist(run_cli: Run, tmp_path: Path, photos: Path) -> None:
    table = _label(tmp_path, "000.png,dark", "01.png,light")
    before = _files(tmp_path)
    result = run_cli("fit", photos, "--labels", table, "--out", tmp_path / "run", *QUICK)
    refused(result, f"{table}, line 3: 01.png is not among the 40 images", "did you mean")
    assert _files(tmp_path) == before


def test_one_file_labelled_twice_differently(run_cli: Run, tmp_path: Path, photos: Path) -> None:
    table = _label(tmp_path, "000.png,dark", "001.png,light", "./000.png,light")
    before = _files(tmp_path)
    result = run_cli("fit", photos, "--labels", table, "--out", tmp_path / "run", *QUICK)
    refused(result, f"{table}, line 4", "labelled 'light', but 'dark' on line 2")
    assert _files(tmp_path) == before


def test_one_class_only(run_cli: Run, tmp_path: Path, photos: Path) -> None:
    table = _label(tmp_path, "000.png,dark", "002.png,dark")
    before = _files(tmp_path)
    result = run_cli("fit", photos, "--labels", table, "--out", tmp_path / "run", *QUICK)
    refused(result, f"{table}, line 2: all 2 labels are 'dark'", "at least 2 classes")
    assert _files(tmp_path) == before


def test_a_class_with_one_label_is_a_warning(run_cli: Run, tmp_path: Path, photos: Path) -> None:
    rows = [f"{i:03}.png,dark" for i in range(0, 8, 2)]
    table = _label(tmp_path, *rows, "001.png,light")
    result = run_cli("fit", photos, "--labels", table, "--out", tmp_path / "run", *QUICK)
    assert result.exit_code == 0, result.output
    assert "warning: 1 class(es) have one labeled image only (light)" in result.stderr
    assert (tmp_path / "run" / "predictions.csv").is_file()


def test_a_budget_larger_than_the_folder(run_cli: Run, tmp_path: Path, photos: Path) -> None:
    before = _files(tmp_path)
    result = run_cli("select", photos, "--budget", 41, "--out", tmp_path / "picks.csv")
    refused(result, "budget", "40")
    assert _files(tmp_path) == before


def test_a_nan_in_an_array(run_cli: Run, tmp_path: Path) -> None:
    X = np.zeros((6, 8, 8), dtype=np.float32)
    X[4, 2, 2] = np.nan
    np.savez(tmp_path / "x.npz", X=X)
    before = _files(tmp_path)
    result = run_cli("select", tmp_path / "x.npz", "--budget", 2, "--out", tmp_path / "picks.csv")
    refused(result, "x.npz holds NaN or infinite pixels, first in image 4")
    assert _files(tmp_path) == before


def test_a_run_folder_that_exists(
    run_cli: Run, tmp_path: Path, photos: Path, label_table: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.json").write_text('{"fewlabel_version": "0.1"}')
    (run / "notes.txt").write_text("mine")
    # Refused before any work: the images are not even looked for.
    arguments = ("--labels", label_table, "--out", run, *QUICK)
    refused(run_cli("fit", "nowhere", *arguments), f"{run} exists already", "--force")
    assert _files(run) == ["metrics.json", "notes.txt"]
    # With --force the old run stays until the new one is whole.
    refused(run_cli("fit", "nowhere", *arguments, "--force"), "nowhere does not exist")
    assert _files(run) == ["metrics.json", "notes.txt"]
    assert run_cli("fit", photos, *arguments, "--force").exit_code == 0
    assert "notes.txt" not in _files(run)
    assert (run / "report.html").is_file()


def test_force_does_not_delete_what_is_no_run(
    run_cli: Run, photos: Path, label_table: Path
) -> None:
    before = _files(photos)
    result = run_cli("fit", photos, "--labels", label_table, "--out", photos, "--force")
    refused(result, f"{photos} exists and was not written by fewlabel")
    assert _files(photos) == before


def test_typed_labels_are_not_overwritten(run_cli: Run, tmp_path: Path, photos: Path) -> None:
    picks = tmp_path / "picks.csv"
    picks.write_text("path,label\n000.png,dark\n")
    result = run_cli("select", photos, "--budget", 3, "--out", picks)
    refused(result, f"{picks} exists already and may hold labels that were typed in", "--force")
    assert picks.read_text() == "path,label\n000.png,dark\n"


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from fewlabel.cli import main
sys.argv[0] = "fewlabel"
main()
"""


def test_no_room_on_the_disk(
    start_cli: Start, tmp_path: Path, photos: Path, label_table: Path
) -> None:
    # The kernel refuses files above 20 kB, as a full disk would; the report is larger.
    before = _files(tmp_path)
    out = tmp_path / "run"
    process = start_cli("fit", photos, "--labels", label_table, "--out", out, *QUICK, code=LIMITED)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 1, errors
    assert output == ""
    last = errors.splitlines()[-1]
    assert last.startswith(f"error: No room left on the disk to write {out}")
    assert "Traceback" not in errors
    assert _files(tmp_path) == before


def test_ctrl_c_during_fit_leaves_nothing(
    start_cli: Start, tmp_path: Path, photos: Path, label_table: Path
) -> None:
    before = _files(tmp_path)
    out = tmp_path / "run"
    # Interrupted where it would hurt most: while the run folder is being written.
    code = (
        "import os, signal, sys, fewlabel.files as files\n"
        "sync = files._sync\n"
        "def interrupted(file):\n"
        "    sync(file)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "files._sync = interrupted\n"
        "sys.argv[0] = 'fewlabel'\n"
        "from fewlabel.cli import main; main()\n"
    )
    process = start_cli("fit", photos, "--labels", label_table, "--out", out, *QUICK, code=code)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "interrupted: nothing was written"
    assert "Traceback" not in errors
    assert output == ""
    assert _files(tmp_path) == before


def test_ctrl_c_while_images_are_read_leaves_nothing(
    start_cli: Start, tmp_path: Path, photos: Path, label_table: Path
) -> None:
    before = _files(tmp_path)
    code = (
        "import os, signal, sys\n"
        "from fewlabel.cli.console import ProgressBars\n"
        "ProgressBars.__call__ = lambda *args: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.argv[0] = 'fewlabel'\n"
        "from fewlabel.cli import main; main()\n"
    )
    out = tmp_path / "run"
    process = start_cli("fit", photos, "--labels", label_table, "--out", out, code=code)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert (output, errors) == ("", "interrupted: nothing was written\n")
    assert _files(tmp_path) == before


@pytest.mark.parametrize("stage", ["pixels", "fit"])
def test_ctrl_c_in_a_stage_of_fit_leaves_nothing(
    run_cli: Run,
    tmp_path: Path,
    photos: Path,
    label_table: Path,
    stage: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = _files(tmp_path)

    def interrupt(self: ProgressBars, name: str, done: int, total: int) -> None:
        if name == stage:
            raise KeyboardInterrupt

    monkeypatch.setattr(ProgressBars, "__call__", interrupt)
    out = tmp_path / "run"
    result = run_cli("fit", photos, "--labels", label_table, "--out", out, *QUICK)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == "interrupted: nothing was written\n"
    assert _files(tmp_path) == before
