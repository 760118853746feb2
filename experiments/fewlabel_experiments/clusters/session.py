"""What the two clustering studies share: the images, the clusterings and the training sets."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score

from fewlabel import KMeans
from fewlabel.data import (
    ImageSet,
    labels_from_truth,
    list_benchmarks,
    load_benchmark,
    random_labels,
)
from fewlabel.errors import UsageError
from fewlabel.graph import label_clusters, spread_to_percentile

from ..protocol import Outcome, Progress, Session, Settings
from .models import KMEANS, ModelKind, ModelStore

_BLOCK = 4096
_SAME = 1e-4


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What a model is trained on."""

    X: np.ndarray  # (m, d): rows
    y: np.ndarray  # (m,): the labels that the model is given
    truth: np.ndarray  # (m,): the true ones, to say how many of y are right
    # Whether the labels were handed on within clusters, so that some are wrong
    is_spread: bool = False


@dataclass(frozen=True, eq=False)
class Clustering:
    """A clustering of the training images."""

    centers: np.ndarray  # (n_clusters, d): centers
    clusters: np.ndarray  # (n,): cluster of each image
    distances: np.ndarray  # (n,): distance of each image to its center
    medoids: np.ndarray  # (n_clusters,): the image nearest to each center


class ClusterSession(Session):
    """The images, clusterings and models of one seed."""

    def __init__(
        self, config: dict[str, Any], settings: Settings, seed: int, progress: Progress
    ) -> None:
        super().__init__(config, settings, seed, progress)
        self.models = ModelStore(settings.save_models, settings.from_models)
        train = load_benchmark(config["data"], "train")
        if 0 < config["n_images"] < len(train):
            rng = np.random.default_rng(seed)
            train = train.subset(np.sort(rng.choice(len(train), config["n_images"], replace=False)))
        self.train, self.test = train, load_benchmark(config["data"], "test")
        self.labels = labels_from_truth(self.train)
        self.y = self.labels.y
        self.y_test = labels_from_truth(self.test, self.labels.classes).y
        self.X, self.X_test = _pixels(self.train), _pixels(self.test)

    def clustering(self, n_clusters: int) -> Clustering:
        """Return the clustering into so many clusters, made once."""
        kmeans = self.kmeans(n_clusters)
        return self.work.get(f"medoids-{n_clusters}", lambda: _clustering(self.X, kmeans))

    def kmeans(self, n_clusters: int) -> KMeans:
        """Return the fitted k-means of so many clusters, made or loaded once."""
        name = f"kmeans-{n_clusters}-seed{self.seed}"

        def make() -> KMeans:
            if self.models.loading:
                loaded: KMeans = self.models.load(name, KMEANS)[0]
                return loaded
            model = KMeans(
                n_clusters, max_iter=self.config["kmeans_max_iter"], random_state=self.seed
            ).fit(self.X)
            self.models.save(name, KMEANS, model, seed=self.seed)
            return model

        return self.work.get(f"kmeans-{n_clusters}", make)

    def all_labels(self) -> TrainingSet:
        """Return all training images with their labels."""
        return TrainingSet(self.X, self.y, self.y)

    def random(self, n_labeled: int) -> TrainingSet:
        """Return training images drawn at random, with their labels."""
        drawn = random_labels(self.y, n_labeled, np.random.default_rng(self.seed))
        return TrainingSet(self.X[drawn], self.y[drawn], self.y[drawn])

    def at_medoids(self, n_clusters: int) -> TrainingSet:
        """Return the image nearest to each center, with its label."""
        rows = self.clustering(n_clusters).medoids
        return TrainingSet(self.X[rows], self.y[rows], self.y[rows])

    def at_centroids(self, n_clusters: int) -> TrainingSet:
        """Return the centers themselves, with the labels of the images nearest to them."""
        clustering = self.clustering(n_clusters)
        y = self.y[clustering.medoids]
        return TrainingSet(clustering.centers, y, y)

    def spread(self, n_clusters: int, percentile: float) -> TrainingSet:
        """Return the images of each cluster nearest to its center, with its medoid's label."""
        clustering = self.clustering(n_clusters)
        known = np.full(len(self.y), -1, dtype=np.int64)
        known[clustering.medoids] = self.y[clustering.medoids]
        of_cluster = label_clusters(clustering.clusters, known, n_clusters)
        handed = spread_to_percentile(
            clustering.clusters, clustering.distances, of_cluster, percentile
        )
        chosen = np.flatnonzero(handed >= 0)
        return TrainingSet(self.X[chosen], handed[chosen], self.y[chosen], is_spread=True)

    def score(
        self,
        name: str,
        kind: ModelKind,
        fit: Callable[[TrainingSet], Any],
        training_set: Callable[[], TrainingSet],
        X_test: np.ndarray | None = None,
    ) -> Outcome:
        """Train a model, or load it, and measure it on the test images."""
        X_test = self.X_test if X_test is None else X_test
        saved = f"{name}-seed{self.seed}"
        if self.models.loading:
            model, about = self.models.load(saved, kind)
            return self.checked(saved, about, accuracy_score(self.y_test, model.predict(X_test)))
        rows = training_set()
        model = fit(rows)
        outcome = Outcome(
            accuracy_score(self.y_test, model.predict(X_test)),
            {"n_train": len(rows.y), "label_precision": accuracy_score(rows.truth, rows.y)},
        )
        about = {"row": name, "seed": self.seed, "accuracy": outcome.accuracy}
        self.models.save(saved, kind, model, **about, extra=outcome.extra)
        return outcome

    def checked(self, name: str, about: dict[str, Any], measured: float) -> Outcome:
        """Warn where a loaded model does not score what it did when it was saved."""
        before = about.get("accuracy", measured)
        if abs(measured - before) > _SAME:
            warnings.warn(
                f"The saved model {name} has {100 * measured:.2f} % on these test images and had "
                f"{100 * before:.2f} % when it was saved: other data, or another kind of machine.",
                stacklevel=2,
            )
        return Outcome(measured, dict(about.get("extra", {})))


def n_training_images(config: dict[str, Any]) -> int:
    """Return how many training images a run uses."""
    sizes = {info.name: info.n_train for info in list_benchmarks()}
    if config["data"] not in sizes:
        raise UsageError(
            f"There is no benchmark {config['data']!r}: give --data one of {', '.join(sizes)}."
        )
    size = sizes[config["data"]]
    return min(size, config["n_images"] or size)


def check_data(config: dict[str, Any], most: int) -> None:
    """Refuse data that are not on this machine, or are fewer than the clusters."""
    n_images = n_training_images(config)
    if n_images < most:
        raise UsageError(
            f"{config['data']} has {n_images:,} training images, and the study asks for {most:,} "
            "clusters: give larger data with --data."
        )
    if not any(info.where for info in list_benchmarks() if info.name == config["data"]):
        # It raises, and says what to do.
        load_benchmark(config["data"], "test")


def _pixels(images: ImageSet) -> np.ndarray:
    rows = images.read(slice(None))
    return np.multiply(rows.reshape(len(rows), -1), np.float32(1 / 255), dtype=np.float32)


def _clustering(X: np.ndarray, kmeans: KMeans) -> Clustering:
    centers, clusters = kmeans.cluster_centers_, kmeans.labels_
    distances = np.empty(len(X), dtype=np.float32)
    # In blocks: the difference of all images at once is as large as the images.
    for start in range(0, len(X), _BLOCK):
        part = slice(start, start + _BLOCK)
        distances[part] = np.linalg.norm(X[part] - centers[clusters[part]], axis=1)
    # The smallest share of a cluster is its nearest image.
    nearest = spread_to_percentile(clusters, distances, np.arange(len(centers)), 1e-6)
    rows = np.flatnonzero(nearest >= 0)
    medoids = rows[np.argsort(nearest[rows])]
    return Clustering(centers, clusters, distances, medoids)
