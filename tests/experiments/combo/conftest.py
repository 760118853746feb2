import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

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
