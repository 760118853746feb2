import io

import numpy as np
import pytest
from PIL import Image

from fewlabel.errors import UsageError
from fewlabel_experiments.combo.steps_figure import COLUMNS, steps_figure


def test_the_figure_has_a_row_an_image_and_a_column_a_step(tmp_path):
    images = np.zeros((2, 56, 56), dtype=np.uint8)
    images[0, 10:30, 5:15] = images[0, 10:30, 35:45] = 200
    data = steps_figure(images, tmp_path / "steps.png")
    assert (tmp_path / "steps.png").read_bytes() == data
    width, height = Image.open(io.BytesIO(data)).size
    assert width / height == pytest.approx(len(COLUMNS) / 2.5, rel=0.05)
    # Colors: both characters are marked.
    colors = np.unique(
        np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).reshape(-1, 3), axis=0
    )
    assert {(230, 159, 0), (86, 180, 233)} <= set(map(tuple, colors.tolist()))
    assert steps_figure(images) == data
    for n in (0, 41):
        with pytest.raises(UsageError, match=f"takes 1 to 40 images. Got {n}"):
            steps_figure(np.zeros((n, 56, 56), dtype=np.uint8))
