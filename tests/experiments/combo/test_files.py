import json
from functools import partial

import numpy as np
import pytest

from fewlabel.data import load_images
from fewlabel.errors import RunFolderError
from fewlabel_experiments.combo.files import targets_to_texts, write_combo
from fewlabel_experiments.combo.generator import make_combo
from fewlabel_experiments.combo.settings import ComboSettings

write = partial(write_combo, seed=0, settings=ComboSettings())


def test_the_folder_is_what_load_images_takes(glyphs, tmp_path):
    combo = make_combo(3, 2, 2, glyphs=glyphs)
    out = write(combo, tmp_path / "c")
    with pytest.raises(RunFolderError, match="exists already"):
        write(combo, out)
    write(combo, out, force=True)
    images = load_images(out / "images.npz")
    np.testing.assert_array_equal(images.read([3])[0, ..., 0], combo.unlabeled.images[0])
    assert len(images) == 5
    texts = targets_to_texts(combo.unlabeled.targets)
    assert (out / "unlabeled-truth.csv").read_text() == (
        f"index,label\n3,{texts[0]}\n4,{texts[1]}\n"
    )
    assert (out / "labels.csv").read_text().startswith("index,label\n0,")
    assert len((out / "test-labels.csv").read_text().splitlines()) == 3
    assert json.loads((out / "metrics.json").read_text())["noise"]["gradient"] == 0.15
    assert "3 labeled images" in (out / "README.md").read_text()
    with np.load(out / "test.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["X"], combo.test.images)
    # Parts without images leave no file.
    out = write(make_combo(2, 0, 0, glyphs=glyphs), tmp_path / "d")
    assert not {"test.npz", "unlabeled-truth.csv"} & {file.name for file in out.iterdir()}
