import json
from functools import partial

import numpy as np
import pytest

from fewlabel.data import load_images
from fewlabel.errors import RunFolderError
from fewlabel_experiments.combo import files as combo_files
from fewlabel_experiments.combo.generator import make_combo
from fewlabel_experiments.combo.settings import ComboSettings

write = partial(combo_files.write_combo, seed=0, settings=ComboSettings())


@pytest.fixture
def combo(glyphs):
    return make_combo(3, 2, 2, glyphs=glyphs)


def test_the_folder_is_what_load_images_takes(combo, tmp_path):
    out = write(combo, tmp_path / "c")
    images = load_images(out / "images.npz")
    np.testing.assert_array_equal(images.read([3])[0, ..., 0], combo.unlabeled.images[0])
    assert len(images) == 5
    texts = combo_files.targets_to_texts(combo.unlabeled.targets)
    assert (out / "unlabeled-truth.csv").read_text() == (
        f"index,label\n3,{texts[0]}\n4,{texts[1]}\n"
    )
    assert (out / "labels.csv").read_text().startswith("index,label\n0,")
    assert len((out / "test-labels.csv").read_text().splitlines()) == 3
    assert json.loads((out / "metrics.json").read_text())["noise"]["gradient"] == 0.15
    assert "3 labeled images" in (out / "README.md").read_text()
    with np.load(out / "test.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["X"], combo.test.images)


def test_parts_without_images_leave_no_file(glyphs, tmp_path):
    combo = make_combo(2, 0, 0, glyphs=glyphs)
    out = write(combo, tmp_path / "c")
    assert not {"test.npz", "unlabeled-truth.csv"} & {file.name for file in out.iterdir()}


def test_a_folder_is_replaced_only_when_asked_for(combo, tmp_path):
    for force in (False, True):
        write(combo, tmp_path / "c", force=force)
    with pytest.raises(RunFolderError, match="exists already"):
        write(combo, tmp_path / "c")


def test_nothing_is_left_of_a_write_that_fails(combo, tmp_path, monkeypatch):
    def fail(*_args, **_kwargs):
        raise OSError("no")

    monkeypatch.setattr(combo_files, "write_labels", fail)
    with pytest.raises(OSError, match="no"):
        write(combo, tmp_path / "c")
    assert list(tmp_path.iterdir()) == []
