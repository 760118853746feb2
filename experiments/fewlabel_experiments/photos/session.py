"""The photos, labels and features that the rows of one seed share."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel import extract_features, select_images
from fewlabel.data import (
    ImageSet,
    Labels,
    image_set_from_array,
    labels_from_truth,
    list_benchmarks,
    load_benchmark,
    stratified_split,
)
from fewlabel.errors import UsageError
from fewlabel.nets import TrunkMemory
from fewlabel.nets.weight_packages import cached_by_timm

from ..protocol import Progress, Session, Settings
from .food11 import load_food11

GROCERY = "grocery"
RANDOM, SELECTED = "random", "selected"
"""How the labeled photos are chosen."""

_EVALUATION = "evaluation/"
_FEWEST_PHOTOS = 40


class PhotoSession(Session):
    """The photos of one seed, all read at one size, and what is made of them once."""

    def __init__(
        self, config: dict[str, Any], settings: Settings, seed: int, progress: Progress
    ) -> None:
        super().__init__(config, settings, seed, progress)
        self.weights = weights_file(config)
        images = chosen_photos(load_photos(config["data"]), config)
        labels = labels_from_truth(images)
        self.classes = labels.classes
        self.n_labeled = n_labeled(config, len(images))
        rng = np.random.default_rng(seed)
        rows, held = stratified_split(labels.y, images.content_groups(), config["test_share"], rng)
        self.y, self.y_test = labels.y[rows], labels.y[held]
        size = (config["size"], config["size"])
        self.photos = images.subset(rows).read(slice(None), size=size, channels=3)
        self.test_photos = images.subset(held).read(slice(None), size=size, channels=3)
        self.train = image_set_from_array(self.photos, source="the training photos")
        self.test = image_set_from_array(self.test_photos, source="the held-out photos")
        # Networks that are trained in turn share what their lower layers gave.
        self.memory = TrunkMemory()

    def features(self) -> Any:
        """Return the frozen features of the training photos, computed once."""
        return self.work.get(
            "features",
            lambda: extract_features(
                self.train,
                features=self.config["backbone"],
                weights=self.weights,
                seed=self.seed,
                progress=self.progress,
            ),
        )

    def test_features(self) -> np.ndarray:
        """Return the frozen features of the held-out photos, computed once."""
        extractor = self.features().extractor
        return self.work.get("test features", lambda: extractor.transform(self.test))

    def network_features(self, networks: str) -> tuple[Any, np.ndarray]:
        """Return frozen features of some networks, joined, and rows of the held-out photos."""

        def make() -> tuple[Any, np.ndarray]:
            # Of several networks at most one has weights in a file.
            names = networks.split(",")
            files = [file for name in names if (file := weights_of(self.config, name))]
            found = extract_features(
                self.train,
                features=networks,
                weights=files[0] if files else None,
                seed=self.seed,
                progress=self.progress,
            )
            return found, found.extractor.transform(self.test, progress=self.progress)

        return self.work.get(f"features {networks}", make)

    def labels(self, how: str) -> Labels:
        """Return the labels of the photos that were chosen, and of no other."""
        if how == RANDOM:
            chosen = self.work.get(
                "random labels",
                lambda: select_images(self.train, self.n_labeled, method="random", seed=self.seed),
            )
        else:
            features = self.features()
            chosen = self.work.get(
                "selection",
                lambda: select_images(
                    self.train, self.n_labeled, seed=self.seed, prepared=features
                ),
            )
        y = np.full(len(self.y), -1, dtype=np.int64)
        y[chosen.indices] = self.y[chosen.indices]
        purposes = np.full(len(y), "", dtype=object)
        purposes[chosen.indices] = chosen.purpose
        return Labels(y, self.classes, tuple(purposes.tolist()))


@lru_cache(maxsize=1)
def load_photos(data: str) -> ImageSet:
    """Open the photos of the study, all published splits pooled."""
    if data == GROCERY:
        return load_benchmark(GROCERY)
    if not Path(data).is_dir():
        known = any(info.name == data for info in list_benchmarks())
        found = "a benchmark of another kind" if known else "no folder"
        raise UsageError(
            f"{data} is {found}: give --data the folder of Food-11 (training/0_12.jpg), or leave "
            "it out for the Grocery photos."
        )
    images = load_food11(data)
    kept = [k for k, name in enumerate(images.names) if not name.startswith(_EVALUATION)]
    images = images.subset(kept) if kept else images
    if len(images) < _FEWEST_PHOTOS:
        raise UsageError(
            f"{data} holds {len(images)} photos named as those of Food-11 are: the study needs at "
            f"least {_FEWEST_PHOTOS}."
        )
    return images


def chosen_photos(images: ImageSet, config: dict[str, Any]) -> ImageSet:
    """Take the photos of a quick run: a few of each of the most frequent classes."""
    y = labels_from_truth(images).y
    sizes = np.bincount(y)
    frequent = np.argsort(-sizes, kind="stable")[: config["n_classes"] or len(sizes)]
    rng = np.random.default_rng(0)
    kept = []
    for label in frequent.tolist():
        rows = rng.permutation(np.flatnonzero(y == label))
        kept.append(rows[: config["per_class"] or len(rows)])
    return images.subset(np.sort(np.concatenate(kept)))


def n_photos(config: dict[str, Any]) -> int:
    """Return how many photos a run uses, at most."""
    most = config["n_classes"] * config["per_class"]
    return min(config["n_images"], most) if most else int(config["n_images"])


def n_labeled(config: dict[str, Any], n: int) -> int:
    """Return how many photos are labeled."""
    return min(round(config["label_share"] * n), int(config["most_labels"]))


def weights_file(config: dict[str, Any]) -> str | None:
    """Find the weights of the pretrained network."""
    return _file_of_weights(config["weights"])


def weights_of(config: dict[str, Any], network: str) -> str | None:
    """Find the weights of any network; None leaves it to packages, timm's cache and the hub."""
    is_own = network == config["backbone"]
    return weights_file(config) if is_own else _file_of_weights(f"{network}.safetensors")


def networks(config: dict[str, Any]) -> list[str]:
    """Return the networks that have rows of their own; those joined have a comma between them."""
    at_hand = cached_by_timm()
    further = [n for n in config["if_at_hand"] if n in at_hand or weights_of(config, n)]
    return [*config["networks"], *further]


def _file_of_weights(name: str) -> str | None:
    data = os.environ.get("FEWLABEL_DATA")
    if data is None:
        return None
    file = Path(data).expanduser().resolve().parent / "models" / name
    return str(file) if file.is_file() else None


def check_photos(config: dict[str, Any]) -> None:
    """Refuse what cannot be run: photos or weights that cannot be had."""
    load_photos(config["data"])
    if weights_file(config) is None:
        # Fetches them, or says what to do: better now than after the first row.
        one = image_set_from_array(np.zeros((1, 32, 32, 3), np.uint8))
        extract_features(one, features=config["backbone"])
