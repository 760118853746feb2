import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewlabel.data import ImageSet, load_images


def draw(folder: Path, names: list[str]) -> ImageSet:
    """Write small images, each of its own, and load them."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return load_images(folder)


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    return draw(tmp_path / "photos", [f"{letter}.png" for letter in "abcdef"])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


def edit(table: Path, text: str) -> None:
    """Save a table as a person would, some time ago: a store waits while a file is written."""
    table.write_text(text)
    before = time.time() - 60
    os.utime(table, (before, before))
