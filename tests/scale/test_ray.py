import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fewlabel.cluster.kmeans import KMeans
from fewlabel.cluster.neighbors import NeighborIndex
from fewlabel.data import load_images
from fewlabel.data.folder import LOST, _look_at
from fewlabel.engine import use_engine
from fewlabel.errors import UsageError
from fewlabel.features.extract import extract_features
from fewlabel.nets import NetworkClassifier
from fewlabel.scale import ray, train
from fewlabel.scale.ray import RayEngine, ray_cluster

pytestmark = [
    pytest.mark.usefixtures("cluster", "float32"),
    # Of Ray's own making.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
ENGINE = RayEngine(min_rows=1)


def test_files_are_looked_at_and_described_as_by_one_process(folder: Path) -> None:
    images = load_images(folder)
    expected = extract_features(images, features="pixels")
    with use_engine(RayEngine()):
        found_images = load_images(folder.as_uri())
        found = extract_features(found_images, features="pixels")
    assert found_images.names == images.names
    assert found_images.skipped == images.skipped
    assert found_images.digest() == images.digest()
    np.testing.assert_allclose(found.rows, expected.rows, atol=1e-4)


def test_a_file_that_kills_who_looks_at_it_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "RETRIES", 0)

    class _Deadly:
        def read(self) -> bytes:
            os.kill(os.getpid(), signal.SIGKILL)
            return b""

    # Two in a task: one is lost with it, and done again by itself.
    files: dict[str, Any] = {str(n): b"no image" for n in range(16)}
    with use_engine(ENGINE):
        found = _look_at(files | {"3": _Deadly()}, n_files=16)
    assert [look.path for look in found] == list(files)
    assert [look.reason == LOST for look in found] == [n == 3 for n in range(16)]


def test_clusters_by_shards_are_those_of_one_process() -> None:
    X = np.random.default_rng(0).normal(size=(900, 12)).astype(np.float32)
    X[:, 0] += 5
    # One center points the other way: its cluster is empty, and gets a row of either shard.
    start = np.concatenate([X[:30], -np.eye(1, 12, dtype=np.float32)])
    kmeans = KMeans(31, init=start, spherical=True)
    alone = kmeans.fit(X).labels_, kmeans.cluster_centers_, kmeans.inertia_, kmeans.n_iter_
    with use_engine(ENGINE):
        kmeans.fit(X)
    np.testing.assert_array_equal(kmeans.labels_, alone[0])
    np.testing.assert_allclose(kmeans.cluster_centers_, alone[1], atol=1e-6)
    assert kmeans.inertia_ == pytest.approx(alone[2], rel=1e-6)
    assert kmeans.n_iter_ == alone[3]


def test_neighbors_by_shards_are_those_of_one_process() -> None:
    X = np.random.default_rng(1).normal(size=(800, 10)).astype(np.float32)
    index = NeighborIndex(X, method="cells")
    expected = index.graph(5)
    with use_engine(ENGINE):
        found = NeighborIndex(X, method="cells").graph(5)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], atol=1e-6)


def test_a_network_trained_in_parts_takes_the_steps_of_one_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(train, "MIN_IMAGES_SEEN", 0)
    rng = np.random.default_rng(2)
    y = rng.integers(0, 3, 90)
    X = rng.integers(0, 90, (90, 10, 10)).astype(np.uint8)
    X[np.arange(90), 3 * y] = 250
    network = NetworkClassifier(
        "cnn",
        # Which values a worker drops is its own draw.
        options={"dropout": 0.0},
        n_epochs=3,
        batch_size=33,
        augment="mild",
        random_state=0,
        early_stopping=True,
    )
    alone = network.fit(X, y).history_, network.predict_proba(X)
    with use_engine(ENGINE):
        network.fit(X, y)
    for name in ("loss", "learning_rate", "validation_accuracy"):
        figures = [[epoch[name] for epoch in history] for history in (alone[0], network.history_)]
        np.testing.assert_allclose(figures[1], figures[0], rtol=1e-3)
    np.testing.assert_allclose(network.predict_proba(X), alone[1], atol=1e-3)


def test_a_cluster_that_is_not_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray as ray_itself

    def refuse(**settings: Any) -> None:
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(ray_itself, "is_initialized", lambda: False)
    monkeypatch.setattr(ray_itself, "init", refuse)
    with (
        pytest.raises(
            UsageError, match=r"no Ray cluster at ray://x:1 .* or leave out --ray-address"
        ),
        ray_cluster("ray://x:1"),
    ):
        pass
