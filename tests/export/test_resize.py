"""Images are resized in the file as Pillow does it."""

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from fewlabel.data.modes import _resize_cover
from fewlabel.export.assemble import _read

SIZES = [(1, 1), (5, 300), (28, 28), (45, 37), (64, 48), (100, 140), (301, 402), (700, 500)]
# Smaller below than beside: Pillow 13 begins with the height.
SIZES += [(36, 26)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(28, 28), (40, 24)])
def test_images_are_read_as_pillow_reads_them(
    size: tuple[int, int], channels: int, capfd: pytest.CaptureFixture[str]
) -> None:
    session = onnxruntime.InferenceSession(_read((*size, channels)).SerializeToString())
    # Whoever loads a file is not warned of what it holds.
    assert capfd.readouterr().err == ""
    rng = np.random.default_rng(0)
    for height, width in SIZES:
        for mode, n in (("L", 1), ("RGB", 3)):
            image = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
            pixels = np.asarray(image.convert(mode)).reshape(1, height, width, n)
            (found,) = session.run(None, {"images": pixels})
            expected = np.asarray(
                _resize_cover(image.convert(mode), size).convert("L" if channels == 1 else "RGB")
            ).reshape(*size, channels)
            off = np.abs(found[0].transpose(1, 2, 0) - expected)
            # Averages of large images, in 24 bits, may round a half the other way.
            assert off.max() <= 1
            assert (off > 0).mean() < 0.005
