"""The graph as a predictor: cross-fitted for all folds in one solve, then for good."""

from __future__ import annotations

from typing import Any

import numpy as np

from fewlabel.cluster.neighbors import NeighborIndex
from fewlabel.evaluate.crossfit import LabelFolds
from fewlabel.graph.fold_scores import FoldScores
from fewlabel.graph.neighbor_graph import affinity_graph, normalize_graph, spread
from fewlabel.graph.propagation import chord, neighbor_average


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
        self.seed = seed
        self.index = NeighborIndex(X, "cosine", random_state=seed)
        self.n_neighbors = min(n_neighbors, len(X) - 1)
        self.neighbors: np.ndarray | None = None
        self.graph: Any = None
        if self.n_neighbors >= 1:
            self.neighbors, distances = self.index.graph(self.n_neighbors)
            self.graph = normalize_graph(affinity_graph(self.neighbors, chord(distances)))

    @classmethod
    def for_prediction(cls, rows: np.ndarray, n_neighbors: int, seed: int) -> GraphModel:
        """Make a model that only predicts: the neighbor search without the graph.

        Parameters
        ----------
        rows : ndarray of shape (n, d)
            Features of the images in the graph.
        n_neighbors : int
            Neighbors to average.
        seed : int
            Seed of the neighbor search; that of the fitted model predicts as that one did.

        Returns
        -------
        GraphModel
            A model for ``predict``.
        """
        model = cls.__new__(cls)
        model.seed = seed
        model.index = NeighborIndex(rows, "cosine", random_state=seed)
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
