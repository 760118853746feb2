import pickle

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from fewlabel_experiments.combo.competition import FILES
from fewlabel_experiments.combo.glyphs import LABELS, SPLITS, Glyphs


def _printed(labels, rng):
    """Printed characters, two a class, each a little different from all others."""
    font = ImageFont.load_default(size=22)
    pixels, classes = [], []
    for label in [*labels, *labels]:
        image = Image.new("L", (28, 28))
        draw = ImageDraw.Draw(image)
        draw.text((14, 14), LABELS[label], fill=255, font=font, anchor="mm")
        glyph = np.asarray(image).copy()
        glyph[glyph > 200] = rng.integers(220, 256)
        pixels.append(glyph)
        classes.append(label)
    return Glyphs(np.stack(pixels), np.array(classes))


@pytest.fixture(scope="session")
def glyphs():
    rng = np.random.default_rng(0)
    return {split: (_printed(range(10), rng), _printed(range(10, 36), rng)) for split in SPLITS}


@pytest.fixture
def competition(tmp_path):
    """Write the competition's files: 50 labeled images, 6 unlabeled ones and 2 to predict."""
    folder, rng = tmp_path / "competition", np.random.default_rng(1)
    folder.mkdir()
    images = rng.integers(0, 256, (58, 56, 56), dtype=np.uint8)
    targets = np.eye(36)[np.arange(50) % 10] + np.eye(36)[10 + np.arange(50) % 26]
    # Images come in other forms as well.
    arrays = images[:50], targets, images[50:56] / 255, images[56:, ..., None]
    for name, array in zip(FILES, arrays, strict=True):
        (folder / name).write_bytes(pickle.dumps(array))
    return folder
