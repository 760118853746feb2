"""Up to millions of distinct 28x28 images: Fashion-MNIST and MNIST, each turned and bent anew.

    FEWLABEL_DATA=... python benchmarks/many_images.py 1000000 --out FOLDER

writes `images.npy` (n, 28, 28) uint8, which fewlabel maps and never loads whole, and `labels.npy`
(n,): the ten classes of Fashion-MNIST, then the digits as 10 to 19. The first 100,000 images of a
million are those of 100,000: image i depends on i and the seed alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap

from fewlabel.data import load_images

SEED = 7
SIDE = 28
_BLOCK = 4_096
# Degrees, shear, logarithm of the scale, shift in halves of a side, and what a node of the coarse
# field moves by, also in halves of a side: what a hand or a fold of cloth might do.
_ANGLE, _SHEAR, _SCALE, _SHIFT, _BEND, _NODES = 12.0, 0.12, 0.12, 0.12, 0.05, 5


def sources() -> tuple[np.ndarray, np.ndarray]:
    """Read the training images of both sets, (120000, 28, 28) uint8, and their classes, shuffled.

    Returns
    -------
    images, labels : ndarray
        Pixels and classes, 0 to 19.
    """
    sets = [load_images(name, split="train") for name in ("fashion-mnist", "mnist")]
    images = np.concatenate([each.read(slice(None))[..., 0] for each in sets])
    codes = [np.unique(each.truth, return_inverse=True)[1] for each in sets]
    order = np.random.default_rng(SEED).permutation(len(images))
    return images[order], np.concatenate([codes[0], codes[1] + 10])[order].astype(np.uint8)


def deform(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn, shear, scale, shift and bend each image at random.

    Parameters
    ----------
    images : ndarray of shape (b, 28, 28), dtype uint8
        Pixels.
    rng : Generator
        Source of chance.

    Returns
    -------
    ndarray of shape (b, 28, 28), dtype uint8
        The images, moved.
    """
    n = len(images)
    angle = np.radians(rng.uniform(-_ANGLE, _ANGLE, n))
    shear, scale = rng.uniform(-_SHEAR, _SHEAR, n), np.exp(rng.uniform(-_SCALE, _SCALE, (2, n)))
    matrix = np.zeros((n, 2, 3), np.float32)
    matrix[:, 0, 0], matrix[:, 0, 1] = np.cos(angle) * scale[0], shear - np.sin(angle) * scale[1]
    matrix[:, 1, 0], matrix[:, 1, 1] = np.sin(angle) * scale[0], np.cos(angle) * scale[1]
    matrix[:, :, 2] = rng.uniform(-_SHIFT, _SHIFT, (n, 2))
    grid = torch.nn.functional.affine_grid(
        torch.from_numpy(matrix), [n, 1, SIDE, SIDE], align_corners=False
    )
    nodes = rng.standard_normal((n, 2, _NODES, _NODES), dtype=np.float32) * np.float32(_BEND)
    field = torch.nn.functional.interpolate(
        torch.from_numpy(nodes), (SIDE, SIDE), mode="bicubic", align_corners=True
    )
    grid += field.permute(0, 2, 3, 1)
    pixels = torch.from_numpy(images)[:, None].float()
    moved = torch.nn.functional.grid_sample(pixels, grid, align_corners=False)[:, 0]
    return moved.round_().clamp_(0, 255).to(torch.uint8).numpy()


def write_images(n: int, folder: Path) -> None:
    """Write n images and their labels into a folder.

    Parameters
    ----------
    n : int
        How many.
    folder : Path
        Where to; made if it is missing.
    """
    images, labels = sources()
    folder.mkdir(parents=True, exist_ok=True)
    out = open_memmap(folder / "images.npy", mode="w+", dtype=np.uint8, shape=(n, SIDE, SIDE))
    for start in range(0, n, _BLOCK):
        # Whole blocks, so that an image does not depend on how many there are.
        rows = np.arange(start, start + _BLOCK) % len(images)
        rng = np.random.default_rng((SEED, start))
        out[start : start + _BLOCK] = deform(images[rows], rng)[: n - start]
    out.flush()
    np.save(folder / "labels.npy", labels[np.arange(n) % len(labels)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n", type=int)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    write_images(given.n, given.out)
