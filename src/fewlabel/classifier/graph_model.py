"""The graph as a predictor: cross-fitted for all folds in one solve, then for good."""

from __future__ import annotations

from typing import Any

import numpy as np

from fewlabel.cluster.neighbors import NeighborIndex
from fewlabel.evaluate.crossfit import LabelFolds
from fewlabel.propagate.graph import (
    affinity_graph,
    class_mass_normalize,
    normalize_graph,
    spread,
)
from fewlabel.propagate.graph_propagation import chord, neighbor_average


class GraphModel:
    """Label spreading over one neighbor graph, for several settings and folds.

    Spreading is linear in the labels. So one solve with a column for every pair of fold and
    class gives the scores of all labels (the sum over folds) and those without any one fold
    (the sum less that fold's columns): cross-fitting costs no refitting.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Features of all images, float32.
    n_neighbors : int
        Neighbors in the graph.
    seed : int
        Seed of the neighbor search.
    """

    def __init__(self, X: np.ndarray, n_neighbors: int, seed: int) -> None:
        self.index = NeighborIndex(X, "cosine", random_state=seed)
        self.n_neighbors = min(n_neighbors, len(X) - 1)
        self.neighbors: np.ndarray | None = None
        self.graph: Any = None
        if self.n_neighbors >= 1:
            self.neighbors, distances = self.index.graph(self.n_neighbors)
            self.graph = normalize_graph(affinity_graph(self.neighbors, chord(distances)))

    @classmethod
    def for_prediction(cls, rows: np.ndarray, n_neighbors: int) -> GraphModel:
        """Make a model that only predicts: the neighbor search without the graph.

        Parameters
        ----------
        rows : ndarray of shape (n, d)
            Features of the images in the graph.
        n_neighbors : int
            Neighbors to average.

        Returns
        -------
        GraphModel
            A model for ``predict``.
        """
        model = cls.__new__(cls)
        model.index = NeighborIndex(rows, "cosine", random_state=0)
        model.n_neighbors = min(n_neighbors, len(rows) - 1)
        model.neighbors = model.graph = None
        return model

    def solve(
        self, codes: np.ndarray, folds: LabelFolds, n_classes: int, alpha: float
    ) -> FoldScores:
        """Spread the labels of every fold apart.

        Parameters
        ----------
        codes : ndarray of shape (n,)
            Classes, -1 where unlabelled.
        folds : LabelFolds
            Folds of the labelled images.
        n_classes : int
            Number of classes.
        alpha : float
            How much an image takes from its neighbors.

        Returns
        -------
        FoldScores
            Scores that give full and cross-fitted predictions.
        """
        fold_of = np.full(len(codes), -1)
        for number, (_, held) in enumerate(folds.folds):
            fold_of[held] = number
        labeled = folds.labeled
        pairs, column = np.unique(
            np.stack([fold_of[labeled], codes[labeled]], axis=1), axis=0, return_inverse=True
        )
        seeds = np.zeros((len(codes), len(pairs)), dtype=np.float32)
        seeds[labeled, column.ravel()] = 1
        scores = seeds if self.graph is None else spread(self.graph, seeds, alpha)
        return FoldScores(scores, pairs, n_classes, codes, fold_of, labeled)

    def predict(self, X: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """Average the probabilities of the nearest images.

        Parameters
        ----------
        X : ndarray of shape (m, d)
            Features of new images.
        probabilities : ndarray of shape (n, K)
            Class probabilities of the images in the graph.

        Returns
        -------
        ndarray of shape (m, K)
            Class probabilities.
        """
        k = max(1, min(self.n_neighbors, len(self.index)))
        indices, distances = self.index.query(X, k)
        return neighbor_average(indices, chord(distances), probabilities)


class FoldScores:
    """Scores of one solve, column by fold and class.

    Parameters
    ----------
    scores : ndarray of shape (n, m)
        Spread scores of each (fold, class) pair.
    pairs : ndarray of shape (m, 2)
        Fold and class of each column.
    n_classes : int
        Number of classes.
    codes : ndarray of shape (n,)
        Classes, -1 where unlabelled.
    fold_of : ndarray of shape (n,)
        Fold of each labelled image.
    labeled : ndarray of shape (n_labeled,)
        Labelled images, in the order of the cross-fitted rows.
    """

    def __init__(
        self,
        scores: np.ndarray,
        pairs: np.ndarray,
        n_classes: int,
        codes: np.ndarray,
        fold_of: np.ndarray,
        labeled: np.ndarray,
    ) -> None:
        self.codes = codes
        self.fold_of = fold_of
        self.labeled = labeled
        to_class = np.zeros((len(pairs), n_classes), dtype=np.float32)
        to_class[np.arange(len(pairs)), pairs[:, 1]] = 1
        self.total = scores @ to_class
        self._scores = scores
        self._at_labels = scores[labeled]
        self._mass = scores.sum(axis=0, dtype=np.float64)
        self._pairs = pairs
        self._to_class = to_class

    def full(self, class_prior: str) -> np.ndarray:
        """Give the class probabilities of all images from all labels.

        Parameters
        ----------
        class_prior : {"uniform", "labels"}
            What class-mass normalisation aims at.

        Returns
        -------
        ndarray of shape (n, K)
            Probabilities, float64.
        """
        return class_mass_normalize(self.total, self._prior(class_prior, None))

    def without(self, fold: int, class_prior: str) -> np.ndarray:
        """Give the class probabilities of all images from the labels outside one fold.

        Parameters
        ----------
        fold : int
            Number of the fold.
        class_prior : {"uniform", "labels"}
            What class-mass normalisation aims at.

        Returns
        -------
        ndarray of shape (n, K)
            Probabilities, float64.
        """
        others = self._to_class * (self._pairs[:, 0] != fold)[:, None]
        return class_mass_normalize(self._scores @ others, self._prior(class_prior, fold))

    def cross_fitted(self, class_prior: str) -> np.ndarray:
        """Predict each labelled image from the labels of the other folds.

        Parameters
        ----------
        class_prior : {"uniform", "labels"}
            What class-mass normalisation aims at.

        Returns
        -------
        ndarray of shape (n_labeled, K)
            Probabilities, float64.
        """
        fold = self.fold_of[self.labeled]
        out = np.empty((len(self.labeled), self._to_class.shape[1]))
        for number in np.unique(fold):
            held = np.flatnonzero(fold == number)
            others = self._to_class * (self._pairs[:, 0] != number)[:, None]
            mass = self._mass @ others
            scores = self._at_labels[held] @ others
            prior = self._prior(class_prior, number)
            # The same scaling as `class_mass_normalize`, whose masses are sums over all images.
            factor = np.where(mass > 0, prior / np.maximum(mass, 1e-300), 0)
            scaled = scores * factor
            total = scaled.sum(axis=1, keepdims=True)
            out[held] = np.where(total > 0, scaled / np.maximum(total, 1e-300), prior)
        return out

    def _prior(self, class_prior: str, without_fold: int | None) -> np.ndarray:
        used = self.labeled
        if without_fold is not None:
            used = used[self.fold_of[used] != without_fold]
        counts = np.bincount(self.codes[used], minlength=self._to_class.shape[1]).astype(float)
        shares = counts if class_prior == "labels" else (counts > 0).astype(float)
        return shares / shares.sum()
