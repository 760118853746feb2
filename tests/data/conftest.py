from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def save_photo(tmp_path: Path) -> Callable[..., Path]:
    """Save a seeded smooth image under ``tmp_path``; the suffix gives the format."""

    def save(name: str, seed: int = 0, size: tuple[int, int] = (40, 30), mode: str = "RGB") -> Path:
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).convert(mode)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
        return path

    return save
