"""Every mistake of the list "Bad input" ends with one clear line, and nothing is lost."""

import resource
import zlib

import numpy as np
import pytest
from PIL import Image

from fewlabel.cli.console import ProgressBars
from tests.cli.conftest import QUICK, _write_table, refused, start_cli
from tests.hostile import changed, copied, model_with, not_regular, npy, npz, png


def _files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


@pytest.fixture
def refuse(run_cli, tmp_path):
    """Assert that a command is refused with a line that has these parts, and changes no file."""

    def call(*command, parts):
        before = _files(tmp_path)
        refused(run_cli(*command), *map(str, parts))
        assert _files(tmp_path) == before

    return call


@pytest.fixture
def out(tmp_path):
    return ("--out", tmp_path / "out")


def test_no_image_that_can_be_read(refuse, tmp_path, out):
    folder = tmp_path / "folder"
    folder.mkdir()
    parts = (f"{folder} holds no images", ".jpg, .png or .tif")
    refuse("select", folder, "--budget", 5, *out, parts=parts)
    refuse("fit", folder, "--labels", "folders", *out, parts=parts)
    (folder / "a.jpg").write_text("no image")
    (folder / "b.png").write_bytes(b"")
    parts = ("None of the 2 images", "a.jpg: the content is not an image")
    refuse("select", folder, "--budget", 1, *out, parts=parts)


def test_a_path_that_does_not_exist(refuse, tmp_path, label_table, out):
    nowhere = tmp_path / "nowhere"
    parts = (f"{nowhere} does not exist", "check the path")
    refuse("select", nowhere, "--budget", 5, *out, parts=parts)
    refuse("fit", nowhere, "--labels", label_table, *out, parts=parts)
    refuse("fit", "photos", "--labels", nowhere, *out, parts=(*parts[:1], "make it with"))
    refuse("predict", nowhere, "digits", *out, parts=(nowhere,))
    refuse("evaluate", nowhere, "digits", "--labels", "folders", parts=(nowhere,))


def test_a_truncated_jpeg_is_set_aside(run_cli, tmp_path, photos, label_table):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(photos / "cut.jpg")
    (photos / "cut.jpg").write_bytes((photos / "cut.jpg").read_bytes()[:1500])
    out = tmp_path / "run"
    result = run_cli("fit", photos, "--labels", label_table, "--out", out, *QUICK)
    assert result.exit_code == 0, result.output
    assert "warning: 1 file(s) were set aside, cut.jpg first" in result.stderr
    assert "cut.jpg,the file is damaged or truncated" in (out / "skipped.csv").read_text()
    assert "cut.jpg" not in (out / "predictions.csv").read_text()


def _huge_png(path, side=30000):
    """A whole PNG of 30,000 x 30,000 black pixels, one bit each: about 110 kB."""
    compressor = zlib.compressobj(9)
    row = b"\0" * (1 + side // 8)
    pixels = b"".join(compressor.compress(row) for _ in range(side)) + compressor.flush()
    path.write_bytes(png(side, side, pixels, depth=1, color=0))


def test_a_huge_png_is_set_aside_without_filling_the_memory(run_cli, tmp_path, photos):
    _huge_png(photos / "huge.png")
    assert (photos / "huge.png").stat().st_size < 200_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = run_cli("select", photos, "--budget", 3, "--out", tmp_path / "picks.csv", *QUICK)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert result.exit_code == 0, result.output
    assert "huge.png: the image has 900 megapixels" in result.stderr
    # Decoded it would take 900 MB; the packages that are imported meanwhile take some too.
    assert grown_mb < 600


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        ("000.png,dark\n01.png,light", "labels.csv, line 3: 01.png is not among the 40 images of "),
        ("000.png,dark\n001.png,light\n./000.png,light", "'light', but 'dark' on line 2"),
        ("000.png,dark\n002.png,dark", "line 2: all 2 labels are 'dark'"),
        ("000.png,dark|\n001.png,dark|", "every image is labeled 'dark'. Label images of"),
        ("000.png,|", "names no label that is present"),
        ("000.png,dark|?dark|x", "line 2: 'dark' is "),
    ],
)
def test_mistakes_in_a_label_table(refuse, tmp_path, photos, out, rows, part):
    table = tmp_path / "labels.csv"
    table.write_text(f"path,label\n{rows}\n")
    refuse("fit", photos, "--labels", table, *out, *QUICK, parts=(part,))


def test_a_class_with_one_label_is_a_warning(run_cli, tmp_path, photos):
    labels = {f"{i:03}.png": "dark" for i in range(0, 8, 2)} | {"001.png": "light"}
    table = _write_table(tmp_path / "labels.csv", labels)
    result = run_cli("fit", photos, "--labels", table, "--out", tmp_path / "run", *QUICK)
    assert result.exit_code == 0, result.output
    assert "warning: 1 class(es) have one labeled image only (light)" in result.stderr
    assert (tmp_path / "run" / "predictions.csv").is_file()


def test_a_budget_larger_than_the_folder_and_a_nan_in_an_array(refuse, tmp_path, photos, out):
    refuse("select", photos, "--budget", 41, *out, parts=("budget", "40"))
    X = np.zeros((6, 8, 8), dtype=np.float32)
    X[4] = np.nan
    np.savez(tmp_path / "x.npz", X=X)
    parts = ("x.npz holds images of nothing but NaN or infinite pixels, first in image 4",)
    refuse("select", tmp_path / "x.npz", "--budget", 2, *out, parts=parts)


def test_a_run_folder_that_exists(refuse, run_cli, photos, label_table, tmp_path, out):
    run = tmp_path / "out"
    run.mkdir()
    (run / "metrics.json").write_text('{"fewlabel_version": "0.1"}')
    (run / "notes.txt").write_text("mine")
    # Refused before any work: the images are not even looked for.
    arguments = ("--labels", label_table, *out, *QUICK)
    refuse("fit", "nowhere", *arguments, parts=(f"{run} exists already", "--force"))
    # With --force the old run stays until the new one is whole.
    refuse("fit", "nowhere", *arguments, "--force", parts=("nowhere does not exist",))
    assert run_cli("fit", photos, *arguments, "--force").exit_code == 0
    assert "notes.txt" not in _files(run)
    assert (run / "report.html").is_file()


def test_neither_photos_nor_typed_labels_are_overwritten(refuse, photos, label_table):
    parts = (f"{photos} exists and was not written by fewlabel",)
    refuse("fit", photos, "--labels", label_table, "--out", photos, "--force", parts=parts)
    before = label_table.read_text()
    parts = (f"{label_table} exists already and may hold labels that were typed in", "--force")
    refuse("select", photos, "--budget", 3, "--out", label_table, parts=parts)
    assert label_table.read_text() == before


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from fewlabel.cli import main
sys.argv[0] = "fewlabel"
main()
"""


def test_no_room_on_the_disk(tmp_path, photos, label_table, out):
    # The kernel refuses files above 20 kB, as a full disk would; the report is larger.
    before = _files(tmp_path)
    process = start_cli("fit", photos, "--labels", label_table, *out, *QUICK, code=LIMITED)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output) == (2, ""), errors
    last = errors.splitlines()[-1]
    assert last.startswith(f"error: No room left on the disk to write {out[1]}")
    assert "Traceback" not in errors
    assert _files(tmp_path) == before


INTERRUPTED = """
import os, signal, sys
import fewlabel.files as files
original = files._sync
def interrupted(*args):
    original(*args)
    os.kill(os.getpid(), signal.SIGINT)
files._sync = interrupted
sys.argv[0] = "fewlabel"
from fewlabel.cli import main; main()
"""


def test_ctrl_c_while_the_run_is_written_leaves_nothing(tmp_path, photos, label_table, out):
    files = _files(tmp_path)
    arguments = ("fit", photos, "--labels", label_table, *out, *QUICK)
    output, errors = start_cli(*arguments, code=INTERRUPTED).communicate(timeout=120)
    assert (output, errors.splitlines()[-1]) == ("", "interrupted: nothing was written")
    assert "Traceback" not in errors
    assert _files(tmp_path) == files


@pytest.mark.parametrize("stage", ["reading images", "pixels", "fit"])
def test_ctrl_c_in_a_stage_of_fit_leaves_nothing(
    run_cli, tmp_path, photos, label_table, out, stage, monkeypatch
):
    before = _files(tmp_path)

    def interrupt(self, name, done, total):
        if name == stage:
            raise KeyboardInterrupt

    monkeypatch.setattr(ProgressBars, "__call__", interrupt)
    result = run_cli("fit", photos, "--labels", label_table, *out, *QUICK)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == "interrupted: nothing was written\n"
    assert _files(tmp_path) == before


def test_files_that_mean_harm(refuse, run, photos, label_table, tmp_path, out):
    pipe = next(not_regular(tmp_path, ".csv"))
    refuse("select", pipe, "--budget", 5, *out, parts=(pipe, "a named pipe, not a regular file"))
    refuse("fit", photos, "--labels", pipe, *out, parts=(pipe, "a named pipe"))
    bomb = npz(tmp_path / "bomb.npz", ("X.npy", npy("'<U0'", f"({2**40},)")))
    refuse("select", bomb, "--budget", 5, *out, parts=(bomb, "must hold numbers or text"))
    folder, manifest = copied(run, tmp_path)
    for at, wrong, name in (
        (("classes",), "\x1b[2J", "meta.classes"),
        (("features", "size"), [2**31] * 2, "features.size"),
    ):
        model_with(folder, changed(manifest, ("meta", *at), lambda d, k, w=wrong: d.update({k: w})))
        refuse("predict", folder, photos, *out, parts=(f"The saved {name} must be a list",))
