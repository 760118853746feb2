"""Fixtures that several packages' tests share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fewlabel.compute import matmul_dtype
from fewlabel.data import ImageSet, Labels, image_set_from_array, labels_from_truth, load_images
from fewlabel.evaluate import crossfit
from fewlabel.features.extract import Features, extract_features
from fewlabel.fit_result import FitResult
from fewlabel.fit_settings import FitSettings
from fewlabel.pipeline import fit_images
from fewlabel.runs.folder import save_run


@contextmanager
def _products_in(dtype: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEWLABEL_MATMUL", dtype)
        yield


@pytest.fixture
def float32() -> Iterator[None]:
    """Multiply in float32: for tests of exact figures, which bfloat16 would round."""
    with _products_in("float32"):
        yield


@pytest.fixture(params=["float32", "bfloat16"])
def arithmetic(request: pytest.FixtureRequest) -> Iterator[torch.dtype]:
    """Multiply in float32, then in bfloat16, as processors with matrix units for it do."""
    with _products_in(request.param):
        yield matmul_dtype()


@pytest.fixture(scope="module")
def float32_module() -> Iterator[None]:
    """Multiply in float32 in a whole module, whose fixtures train networks, too."""
    with _products_in("float32"):
        yield


# Here it matters what is done with estimates, not how sure they are.
_FIVE_FOLDS = {
    "cli", "explain", "export", "labelling", "report", "runs", "semisupervised", "web",
    "test_estimators.py", "test_pipeline_networks.py",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def quick_estimates(request: pytest.FixtureRequest) -> Iterator[None]:
    """Deal five folds instead of twenty in some folders and files."""
    with pytest.MonkeyPatch.context() as patch:
        if _FIVE_FOLDS & {request.path.name, request.path.parent.name}:
            dealt = crossfit._number_of_folds
            patch.setattr(crossfit, "_number_of_folds", lambda n, distinct: dealt(n or 5, distinct))
        yield


@dataclass(frozen=True, eq=False)
class Example:
    """Images of which few are labeled, and everything that is known of them."""

    images: ImageSet
    # Of the first eighty images.
    labels: Labels
    truth: Labels
    features: Features
    new: ImageSet
    new_truth: Labels

    def known(self, rows: Sequence[int], purpose: Sequence[str] = ()) -> Labels:
        """Return the labels of some images."""
        others = np.setdiff1d(np.arange(len(self.images)), rows)
        y = self.truth.task.without(self.truth.y, others)
        return replace(self.truth, y=y, purpose=tuple(purpose))

    def fit(self, labels: Labels | None = None, **settings: Any) -> FitResult:
        """Fit on pixels."""
        settings = FitSettings(features="pixels", **settings)
        labels = labels or self.labels
        return fit_images(self.images, labels, settings, prepared=self.features)


NAMES = ("bar", "dot", "frame")


def pictures(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw gray images with a bar, a dot and a frame, or without; return what they show."""
    rng = np.random.default_rng(seed)
    X = rng.normal(40, 12, (n, 16, 16))
    Y = rng.integers(0, 2, (n, 3)).astype(np.int8)
    for image, (bar, dot, frame) in zip(X, Y, strict=True):
        if bar:
            image[:, 7:9] += 120
        if dot:
            image[2:6, 10:14] += 150
        if frame:
            image[[0, -1]] += 130
    return np.clip(X, 0, 255).astype(np.uint8), Y


def _example(images: ImageSet, truth: Labels, new: ImageSet, new_truth: Labels) -> Example:
    features = extract_features(images, features="pixels")
    example = Example(images, truth, truth, features, new, new_truth)
    return replace(example, labels=example.known(range(80)))


@pytest.fixture(scope="session")
def digits() -> Example:
    """Handwritten digits: 400 images with one label each, and 300 new ones."""
    images = load_images("digits")
    train, new = images.subset(range(400)), images.subset(range(400, 700))
    return _example(train, labels_from_truth(train), new, labels_from_truth(new))


@pytest.fixture(scope="session")
def shapes() -> Example:
    """Gray images with several labels: 360, of one of which one label is unknown, and 200 new."""
    (X, Y), (new, new_Y) = pictures(360, 0), pictures(200, 1)
    example = _example(
        image_set_from_array(X), Labels(Y, NAMES), image_set_from_array(new), Labels(new_Y, NAMES)
    )
    y = example.labels.y.copy()
    y[3, 1] = -1
    return replace(example, labels=Labels(y, NAMES))


@pytest.fixture(scope="session", params=["digits", "shapes"])
def example(request: pytest.FixtureRequest) -> Example:
    """Images for each task."""
    found: Example = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def fitted(example: Example) -> FitResult:
    """What ``fit_images`` gives for each task."""
    return example.fit()


@pytest.fixture(scope="session")
def run(example: Example, fitted: FitResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of ``fitted``."""
    out = tmp_path_factory.mktemp("runs") / "run"
    return save_run(fitted, example.images, out, command="fewlabel fit", probabilities=True)


@pytest.fixture(params=["linear scores", "scores of a network"])
def min_trained(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refine small graphs by either kind of scores."""
    if request.param != "linear scores":
        monkeypatch.setattr("fewlabel.graph.refined._MIN_TRAINED", 2)
        monkeypatch.setattr("fewlabel.graph.score_network._STEPS", 20)
