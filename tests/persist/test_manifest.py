"""A model folder comes back whole, and every kind of damage is named."""

import hashlib
import json
import math
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import fewlabel
from fewlabel.errors import ModelFormatError, RunFolderError, StorageError, UsageError
from fewlabel.files import atomic_folder
from fewlabel.persist import FORMAT_VERSION, load_bundle, save_bundle
from fewlabel.persist import manifest as manifest_module

META = {"classes": ["cat", "dög"], "alpha": 0.9, "nested": {"k": [15, None, True]}}


def make_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "weights": rng.normal(size=(5, 3)).astype(np.float32),
        "y": np.array([0, 1, -1], dtype=np.int64),
        "mask": np.array([True, False]),
        "scale": np.array(2.5),
        "nan": np.array([np.nan, np.inf]),
    }


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    save_bundle(folder, kind="classifier", arrays=make_arrays(), meta=META)
    return folder


def edit(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def redeclare(folder: Path, name: str = "arrays.safetensors") -> None:
    """Make the manifest agree with the file as it is now, as an attacker would."""
    data = (folder / name).read_bytes()
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    edit(folder, files=json.loads((folder / "manifest.json").read_text())["files"] | {name: entry})


def assert_refused(folder: Path, text: str) -> None:
    with pytest.raises(ModelFormatError, match=text):
        load_bundle(folder)


def test_round_trip(model):
    bundle = load_bundle(model, kind="classifier")
    assert bundle.kind == "classifier"
    assert bundle.meta == META
    assert bundle.created_with["fewlabel"] == fewlabel.__version__
    assert bundle.created_with["numpy"] == np.__version__
    assert bundle.created_with["torch"]
    assert list(bundle.arrays) == list(make_arrays())
    for name, array in make_arrays().items():
        assert bundle.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(bundle.arrays[name], array)


def test_the_folder_holds_two_files_and_no_pickle(model, tmp_path):
    assert sorted(p.name for p in model.iterdir()) == ["arrays.safetensors", "manifest.json"]
    assert json.loads((model / "manifest.json").read_text())["format_version"] == FORMAT_VERSION
    umask = os.umask(0)
    os.umask(umask)
    # The same model gives the same bytes, in files of the ordinary mode.
    save_bundle(tmp_path / "again", kind="classifier", arrays=make_arrays(), meta=META)
    for file in model.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()
        assert file.stat().st_mode & 0o777 == 0o666 & ~umask


def test_it_is_saved_inside_a_larger_output_and_into_a_folder_that_stands(tmp_path):
    with atomic_folder(tmp_path / "run") as run:
        (run / "metrics.json").write_text("{}")
        (run / "empty").mkdir()
        (run / "full").mkdir()
        (run / "full" / "notes.txt").write_text("mine")
        for name in ("new", "empty", "full"):
            save_bundle(run / name, kind="demo", arrays={}, meta={})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]
    for name in ("new", "empty", "full"):
        bundle = load_bundle(tmp_path / "run" / name)
        assert (bundle.kind, bundle.arrays, bundle.meta) == ("demo", {}, {})
    assert (tmp_path / "run" / "full" / "notes.txt").read_text() == "mine"


def test_a_model_is_replaced_only_when_asked_and_alone(model):
    with pytest.raises(RunFolderError, match=r"holds a model already.*force=True"):
        save_bundle(model, kind="other", arrays={}, meta={})
    assert load_bundle(model).kind == "classifier"
    save_bundle(model, kind="other", arrays={}, meta={}, force=True)
    assert load_bundle(model).kind == "other"
    (model / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match=r"other files beside the model \(notes.txt\)"):
        save_bundle(model, kind="third", arrays={}, meta={}, force=True)
    assert load_bundle(model).kind == "other"


@pytest.mark.parametrize("stands", [True, False])
@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_failed_save_leaves_nothing(tmp_path, monkeypatch, stands, failure):
    if stands:
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "notes.txt").write_text("mine")
    before = sorted(p.name for p in tmp_path.rglob("*"))
    write = Path.write_bytes

    def failing_write(self: Path, data: bytes) -> int:
        if self.suffix == ".json":
            raise failure
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", failing_write)
    expected = StorageError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        save_bundle(tmp_path / "model", kind="demo", arrays=make_arrays(), meta={})
    assert sorted(p.name for p in tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"kind": "a/b"}, "The 'kind' parameter of save_bundle .* Got 'a/b' instead"),
        ({"kind": ""}, "Got '' instead"),
        ({"meta": {"a": np.float32(1)}}, "float32 is not JSON serializable"),
        ({"meta": {"a": {1, 2}}}, "set is not JSON serializable"),
        ({"meta": {"a": [0.5, math.nan]}}, "not JSON compliant"),
        ({"meta": {"a": math.inf}}, "not JSON compliant"),
        ({"meta": {"a": "x" * 2**24}}, "store long lists of numbers as arrays"),
        ({"arrays": {"names": np.array(["a"])}}, "put text and settings into meta"),
    ],
)
def test_what_cannot_be_stored_exactly_is_refused_before_writing(tmp_path, changes, text):
    with pytest.raises(UsageError, match=text):
        save_bundle(tmp_path / "m", **({"kind": "demo", "arrays": {}, "meta": {}} | changes))
    assert not (tmp_path / "m").exists()


def test_every_flipped_byte_of_the_arrays_is_found(model):
    path = model / "arrays.safetensors"
    whole = path.read_bytes()
    for i in range(len(whole)):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        assert_refused(model, r"does not match its checksum.*save it again")
    path.write_bytes(whole)
    load_bundle(model)


def link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def dangle(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("name", "damage", "text"),
    [
        ("arrays", lambda p: p.write_bytes(p.read_bytes()[:-1]), "has .* bytes where .*copy"),
        ("arrays", lambda p: p.write_bytes(b""), "has .* bytes where .*copy"),
        ("arrays", lambda p: p.write_bytes(p.read_bytes() + b"\0"), "has .* bytes where .*copy"),
        ("arrays", Path.unlink, r"is missing.*copy it anew"),
        ("arrays", link, "is not an ordinary file"),
        ("arrays", dangle, "is not an ordinary file"),
        ("arrays", become_a_folder, "is not an ordinary file"),
        ("manifest", link, "is not an ordinary file"),
        # It is sparse: it takes no room on the disk, and is refused without being read.
        ("manifest", lambda p: os.truncate(p, 2**40), "is over 16 MiB"),
    ],
)
def test_a_file_that_is_not_as_it_was_is_named(model, name, damage, text):
    file = {"arrays": "arrays.safetensors", "manifest": "manifest.json"}[name]
    damage(model / file)
    assert_refused(model, rf"{file} {text}")


def test_a_file_over_the_bound_is_not_read(model, monkeypatch):
    os.truncate(model / "arrays.safetensors", 2**40)
    files = {"arrays.safetensors": {"bytes": 2**40, "sha256": ""}}
    edit(model, files=files)
    assert_refused(model, r"is not read: it holds 1,099.5 GB, more than .* FEWLABEL_MAX_BYTES")


def test_a_folder_without_a_manifest_is_no_model(tmp_path):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"w": 1}))
    for folder in (tmp_path, tmp_path / "absent", tmp_path / "model.pkl"):
        assert_refused(folder, r"no manifest\.json.*loads no pickle")


def test_a_newer_format_says_who_wrote_it(model):
    versions = {"fewlabel": "9.1.0\x1b[2J"}
    # A newer format may have changed anything else, so nothing else is looked at.
    edit(model, format_version=FORMAT_VERSION + 1, created_with=versions, files=[], meta=3)
    assert_refused(model, r"by fewlabel 9.1.0\?\[2J in model format 2;.*pip install --upgrade fewl")


def test_an_addition_that_may_be_ignored_is_ignored(model):
    (model / "notes.txt").write_text("hello")
    edit(model, comment="written by a later 1.x")
    redeclare(model, "notes.txt")
    assert load_bundle(model).meta == META


def test_another_kind_is_refused(model):
    with pytest.raises(ModelFormatError, match="kind 'classifier', and one of the kind 'features'"):
        load_bundle(model, kind="features")


@pytest.mark.parametrize(
    "name", ["../outside.bin", "/etc/passwd", "sub/file.bin", "..", ".", "a\\b", "", "a..b", ".x"]
)
def test_a_path_out_of_the_folder_is_refused(model, name):
    (model.parent / "outside.bin").write_bytes(b"x")
    files = json.loads((model / "manifest.json").read_text())["files"]
    edit(model, files=files | {name: {"bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()}})
    assert_refused(model, r"not a plain file name.*do not use it")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"{'format': 1}", "not valid JSON"),
        (b"[]", "not the manifest of a fewlabel model"),
        (b'{"format": "other"}', "not the manifest of a fewlabel model"),
        (pickle.dumps({"format": "fewlabel-model"}), "not valid JSON"),
    ],
)
def test_a_manifest_that_is_not_one_is_refused(model, data, text):
    (model / "manifest.json").write_bytes(data)
    assert_refused(model, text)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format_version": True}, "'format_version' must be a whole number"),
        ({"format_version": "1"}, "'format_version' must be a whole number"),
        ({"format_version": 0}, "'format_version' must be a whole number"),
        ({"files": []}, "'files' must be an object"),
        ({"files": {}}, "'files' must be an object that names arrays.safetensors"),
        ({"files": {"arrays.safetensors": 3}}, "must be an object with 'bytes' and 'sha256'"),
        ({"files": {"arrays.safetensors": {"bytes": 1.0, "sha256": ""}}}, "must be an object with"),
        ({"meta": None}, "'meta' must be an object"),
        ({"kind": 3}, "'kind' must be text"),
        ({"arrays": None}, "'arrays' must be an object"),
        ({"arrays": {}}, "does not declare the array"),
    ],
)
def test_a_manifest_with_a_wrong_part_is_refused(model, changes, text):
    edit(model, **changes)
    assert_refused(model, text)


def test_a_pickle_in_place_of_the_arrays_is_refused_and_not_run(model, tmp_path):
    class RunsCode:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    (model / "arrays.safetensors").write_bytes(pickle.dumps(RunsCode()))
    redeclare(model)
    assert_refused(model, r"not a safetensors file .*a pickle could run code")
    assert not (tmp_path / "ran").exists()


def test_nothing_is_built_before_the_checks(model, monkeypatch):
    monkeypatch.setattr(manifest_module, "_decode_arrays", lambda *_: pytest.fail("built"))
    path = model / "arrays.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    assert_refused(model, "checksum")
