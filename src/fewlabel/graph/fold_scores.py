"""Scores of one spreading solve, kept apart by fold: predictions from any of the folds."""

from __future__ import annotations

import numpy as np

from fewlabel.graph.neighbor_graph import class_mass_normalize


class LabelScores:
    """Scores at the labelled images only, column by fold and class.

    Spreading is linear in the labels, so these few numbers predict each labelled image from
    the labels of any folds, without another solve.

    Parameters
    ----------
    scores : ndarray of shape (n_labeled, m)
        Spread scores of each (fold, class) pair, at the labelled images.
    mass : ndarray of shape (m,)
        Sums of the scores over all images.
    pairs : ndarray of shape (m, 2)
        Fold and class of each column.
    codes : ndarray of shape (n_labeled,)
        Classes of the labelled images.
    fold_of : ndarray of shape (n_labeled,)
        Their folds.
    n_classes : int
        Number of classes.
    """

    def __init__(
        self,
        scores: np.ndarray,
        mass: np.ndarray,
        pairs: np.ndarray,
        codes: np.ndarray,
        fold_of: np.ndarray,
        n_classes: int,
    ) -> None:
        self.codes = codes
        self.fold_of = fold_of
        self.n_classes = n_classes
        self._scores = scores
        self._mass = mass
        self._pairs = pairs

    def predict(self, rows: np.ndarray, train: np.ndarray, class_prior: str) -> np.ndarray:
        """Predict some labelled images from the labels of some folds.

        Parameters
        ----------
        rows : ndarray of shape (r,)
            Positions among the labelled images.
        train : ndarray of int
            Numbers of the folds whose labels may be used.
        class_prior : {"uniform", "labels"}
            What class-mass normalisation aims at.

        Returns
        -------
        ndarray of shape (r, K)
            Probabilities, float64.
        """
        to_class = self.columns(train)
        prior = self.prior(train, class_prior)
        mass = self._mass @ to_class
        # The same scaling as `class_mass_normalize`, whose masses are sums over all images.
        factor = np.where(mass > 0, prior / np.maximum(mass, 1e-300), 0)
        scaled = (self._scores[rows] @ to_class) * factor
        total = scaled.sum(axis=1, keepdims=True)
        return np.where(total > 0, scaled / np.maximum(total, 1e-300), prior)

    def columns(self, train: np.ndarray) -> np.ndarray:
        """Tell which columns add up to the scores of each class from some folds.

        Parameters
        ----------
        train : ndarray of int
            Numbers of the folds whose labels may be used.

        Returns
        -------
        ndarray of shape (m, K)
            1 where a column counts for a class, else 0; float32.
        """
        to_class = np.zeros((len(self._pairs), self.n_classes), dtype=np.float32)
        used = np.isin(self._pairs[:, 0], train)
        to_class[np.flatnonzero(used), self._pairs[used, 1]] = 1
        return to_class

    def prior(self, train: np.ndarray, class_prior: str) -> np.ndarray:
        """Give the wanted share of each class.

        Parameters
        ----------
        train : ndarray of int
            Numbers of the folds whose labels may be used.
        class_prior : {"uniform", "labels"}
            Equal shares of the classes that have labels, or the shares of the labels.

        Returns
        -------
        ndarray of shape (K,)
            Shares that sum to 1.
        """
        used = self.codes[np.isin(self.fold_of, train)]
        counts = np.bincount(used, minlength=self.n_classes).astype(float)
        shares = counts if class_prior == "labels" else (counts > 0).astype(float)
        return shares / shares.sum()


class FoldScores:
    """Scores of one solve at all images, column by fold and class.

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
        self.fold_of = fold_of
        self.labeled = labeled
        self.at_labels = LabelScores(
            scores[labeled],
            scores.sum(axis=0, dtype=np.float64),
            pairs,
            codes[labeled],
            fold_of[labeled],
            n_classes,
        )
        self._scores = scores
        self._folds = np.unique(fold_of[labeled])

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
        return self.from_folds(self._folds, class_prior)

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
        return self.from_folds(self._folds[self._folds != fold], class_prior)

    def from_folds(self, train: np.ndarray, class_prior: str) -> np.ndarray:
        """Give the class probabilities of all images from the labels of some folds.

        Parameters
        ----------
        train : ndarray of int
            Numbers of the folds whose labels may be used.
        class_prior : {"uniform", "labels"}
            What class-mass normalisation aims at.

        Returns
        -------
        ndarray of shape (n, K)
            Probabilities, float64.
        """
        scores = self._scores @ self.at_labels.columns(train)
        return class_mass_normalize(scores, self.at_labels.prior(train, class_prior))

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
        at_labels = self.at_labels
        out = np.empty((len(self.labeled), at_labels.n_classes))
        for number in self._folds:
            held = np.flatnonzero(at_labels.fold_of == number)
            others = self._folds[self._folds != number]
            out[held] = at_labels.predict(held, others, class_prior)
        return out
