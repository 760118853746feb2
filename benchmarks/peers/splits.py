"""The splits and features that all peers are given, written once by fewlabel."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import numpy as np

from fewlabel.data import ImageSet, Labels, labels_from_truth
from fewlabel.files import atomic_file
from fewlabel.pipeline import extract_features
from fewlabel.runs.bench import _split

# Methods on a graph alone have the test images in it: all sets have at most what MNIST has.
MAX_TEST = 3_000
# Of photos one network, so that three splits take minutes; of all others what fewlabel takes.
FEATURES = {"grocery": "tf_efficientnet_lite0"}


@cache
def pool_and_test(dataset: str, seed: int, n_pool: int) -> tuple[ImageSet, ImageSet]:
    """Return at most ``n_pool`` images to learn from and 3,000 to test on, by the seed."""
    rng = np.random.default_rng(seed)
    pool, test = _split(dataset, seed)
    return _at_most(pool, n_pool, rng), _at_most(test, MAX_TEST, rng)


def _at_most(images: ImageSet, n: int, rng: np.random.Generator) -> ImageSet:
    if n >= len(images):
        return images
    return images.subset(np.sort(rng.choice(len(images), n, replace=False)))


def labels_of_codes(y: np.ndarray) -> Labels:
    """Return labels whose classes are the codes of ``y``; -1 is unlabeled."""
    return Labels(y, tuple(f"{code:03d}" for code in range(int(y.max()) + 1)))


def write_split(folder: Path, dataset: str, seed: int, n_pool: int, budgets: list[int]) -> None:
    """Write features, labels of each budget, and apart from these the truth."""
    if (folder / "truth.npz").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    pool, test = pool_and_test(dataset, seed, n_pool)
    truth = labels_from_truth(pool)
    start, features = time.perf_counter(), FEATURES.get(dataset, "auto")
    found = extract_features(pool, features=features, seed=seed, cache=True)
    np.save(folder / "X.npy", found.rows)
    np.save(folder / "X_test.npy", found.extractor.transform(test))
    np.save(folder / "feature_seconds.npy", time.perf_counter() - start)
    for name, value in (("dataset", dataset), ("features", features)):
        np.save(folder / f"{name}.npy", value)
    np.save(folder / "n_classes.npy", len(truth.classes))
    for budget in (n for n in budgets if n < len(pool)):
        rows = np.random.default_rng(seed).permutation(len(pool))[:budget]
        write_labels(folder, budget, rows, truth.y)
    test_y = labels_from_truth(test, truth.classes).y
    # Last, since it says that the folder is whole.
    with atomic_file(folder / "truth.npz") as path, path.open("wb") as file:
        np.savez(file, pool=truth.y, test=test_y)


def write_images(folder: Path, dataset: str, seed: int, n_pool: int) -> None:
    """Write the images, (n, H, W, channels) uint8, for methods that do not take features."""
    if not (folder / "images_test.npy").exists():
        for name, images in zip(
            ("images", "images_test"), pool_and_test(dataset, seed, n_pool), strict=True
        ):
            np.save(folder / f"{name}.npy", images.read(slice(None)))


def write_labels(folder: Path, budget: int, rows: np.ndarray, truth: np.ndarray) -> None:
    """Write the labels of some rows, coded 0, 1, ... among the classes that these show."""
    classes, codes = np.unique(truth[rows], return_inverse=True)
    y = np.full(len(truth), -1)
    y[rows] = codes
    np.savez(folder / f"labels_{budget}.npz", y=y, classes=classes)
