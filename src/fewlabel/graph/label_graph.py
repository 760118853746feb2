"""Several labels spread over one graph: presence and absence, for all folds in one solve."""

from __future__ import annotations

import numpy as np

from fewlabel.evaluate.crossfit import LabelFolds
from fewlabel.graph.graph_model import GraphModel
from fewlabel.graph.neighbor_graph import spread

_AT_ONCE = 40_000_000
"""Numbers that one solve may hold: labels are spread so many at a time."""

_FAR = 0.02
"""Where less than this share of the usual evidence arrives, the share of a label counts."""


def spread_labels(
    model: GraphModel, Y: np.ndarray, folds: LabelFolds, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """Spread each label by itself: how much presence arrives, beside how much absence.

    Spreading is linear in the labels, so that cross-fitting costs no refitting: what the labels
    of a fold brought is taken off again.

    Parameters
    ----------
    model : GraphModel
        The graph.
    Y : ndarray of shape (n, K)
        1 present, 0 absent, -1 not known.
    folds : LabelFolds
        Folds of the labelled images.
    alpha : float
        How much an image takes from its neighbors.

    Returns
    -------
    proba : ndarray of shape (n, K)
        Probability of each label, float64.
    cross_fitted : ndarray of shape (n_labeled, K)
        That of the labelled images without the labels of their fold.
    """
    n, n_labels = Y.shape
    fold_of = np.full(n, -1)
    for number, (_, held) in enumerate(folds.folds):
        fold_of[held] = number
    proba = np.empty((n, n_labels))
    cross_fitted = np.empty((len(folds.labeled), n_labels))
    chunk = max(1, _AT_ONCE // (2 * max(1, len(folds.folds)) * n))
    for start in range(0, n_labels, chunk):
        columns = slice(start, min(start + chunk, n_labels))
        found = _spread(model, Y[:, columns], fold_of, folds.labeled, alpha)
        proba[:, columns], cross_fitted[:, columns] = found
    return proba, cross_fitted


def _spread(
    model: GraphModel, Y: np.ndarray, fold_of: np.ndarray, labeled: np.ndarray, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    rows, labels = np.nonzero(Y >= 0)
    present = Y[rows, labels] == 1
    n_labels = Y.shape[1]
    kinds = np.stack([fold_of[rows], labels, present], axis=1)
    triples, column = np.unique(kinds, axis=0, return_inverse=True)
    seeds = np.zeros((len(Y), len(triples)), dtype=np.float32)
    seeds[rows, column.ravel()] = 1
    scores = seeds if model.graph is None else spread(model.graph, seeds, alpha)
    # One column a label: how much of it arrives, present (1) and absent (0).
    total = np.zeros((2, len(Y), n_labels))
    own = np.zeros((2, len(labeled), n_labels))
    fold = fold_of[labeled]
    for number, (of_fold, label, sign) in enumerate(triples.tolist()):
        total[sign, :, label] += scores[:, number]
        held = np.flatnonzero(fold == of_fold)
        own[sign, held, label] += scores[labeled[held], number]
    share = _shares(Y)
    # How frequent a label is, too, is learnt without the fold that is predicted.
    parts = [_shares(Y[fold_of != number]) for number in range(fold_of.max() + 1)]
    apart = np.stack(parts)[fold] if parts else share
    far = _FAR * np.median(total.sum(axis=0), axis=0) + 1e-12
    kept = np.maximum(total[:, labeled] - own, 0)
    return _share_of(total, far, share), _share_of(kept, far, apart)


def _shares(Y: np.ndarray) -> np.ndarray:
    return np.asarray(((Y == 1).sum(axis=0) + 0.5) / ((Y >= 0).sum(axis=0) + 2))


def _share_of(arrived: np.ndarray, far: np.ndarray, share: np.ndarray) -> np.ndarray:
    absent, present = arrived
    return np.asarray((present + far * share) / (present + absent + far))


def neighbor_labels(model: GraphModel, X: np.ndarray, proba: np.ndarray) -> np.ndarray:
    """Average the labels of the nearest images of the graph.

    Parameters
    ----------
    model : GraphModel
        The graph.
    X : ndarray of shape (m, d)
        Features of new images.
    proba : ndarray of shape (n, K)
        Probability of each label of the images in the graph.

    Returns
    -------
    ndarray of shape (m, K)
        Probability of each label.
    """
    n_labels = proba.shape[1]
    # Each label beside its absence makes rows of one sum, which averaging keeps.
    both = model.predict(X, np.concatenate([proba, 1 - proba], axis=1))
    return np.asarray(both[:, :n_labels] * n_labels)
