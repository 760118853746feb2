"""Lloyd's iterations of k-means over exact nearest centers."""

import numpy as np
from scipy.sparse import csr_matrix

from fewlabel.cluster.assignment import _CenterSearch
from fewlabel.engine import current_engine
from fewlabel.errors import UsageError

_SUM_ROWS = 4_096


def _lloyd(
    X: np.ndarray,
    centers: np.ndarray,
    *,
    max_iter: int = 100,
    tol: float = 1e-4,
    spherical: bool = False,
) -> tuple[np.ndarray, np.ndarray, float, int]:
    """Run Lloyd's iterations from given centers, with assignments that are exact in float32."""
    # Nothing is drawn at random: the result depends on the arguments alone.
    X = np.ascontiguousarray(X, dtype=np.float32)
    centers = np.array(centers, dtype=np.float32, order="C")
    _check_sizes(X, centers)
    engine = current_engine()
    if engine is not None and len(X) >= engine.min_rows:
        return engine.lloyd(X, centers, max_iter=max_iter, tol=tol, spherical=spherical)
    if spherical:
        centers = _unit_rows(centers)
    search = _CenterSearch(X, len(centers))
    members = _Members(X, len(centers))
    threshold = tol * search.mean_variance
    labels = np.full(len(X), -1, dtype=np.int64)
    squared = np.full(len(X), np.inf, dtype=np.float32)
    moved = np.ones(len(centers), dtype=bool)
    n_iter = 0
    while n_iter < max_iter:
        n_iter += 1
        search.update(labels, squared, centers, moved)
        _fill_empty(labels, squared, len(centers))
        before = centers
        centers = members.means(labels, before)
        moved = (centers != before).any(axis=1)
        if spherical:
            # Scaling a unit vector again could change its last bit: an unmoved center must stay.
            centers[moved] = _unit_rows(centers[moved])
            moved = (centers != before).any(axis=1)
        shift = float(((centers - before).astype(np.float64) ** 2).sum())
        if not moved.any() or shift <= threshold:
            break
    # The last centers moved after the last assignment.
    if moved.any():
        search.update(labels, squared, centers, moved)
    search.measure(labels, squared, centers)
    inertia = float(squared.sum(dtype=np.float64))
    return centers, labels, inertia, n_iter


class _Members:
    """Sums of the rows of each cluster, kept up to date by the rows that changed cluster."""

    def __init__(self, X: np.ndarray, n_clusters: int) -> None:
        self._X = X
        self._labels = np.full(len(X), -1, dtype=np.int64)
        # float64 sums make an incremental update as good as summing afresh.
        self.sums = np.zeros((n_clusters, X.shape[1]))

    def means(self, labels: np.ndarray, centers: np.ndarray) -> np.ndarray:
        """Mean of each cluster; the old center, bit for bit, where no member changed."""
        touched = self.update(labels)
        # Other centers stay bit for bit, so that the search may skip them.
        totals = np.bincount(labels, minlength=len(centers))
        touched &= totals > 0
        means = centers.copy()
        means[touched] = self.sums[touched] / totals[touched, None]
        return means

    def update(self, labels: np.ndarray) -> np.ndarray:
        """Bring the sums up to date; return which clusters have other members now."""
        changed = np.flatnonzero(labels != self._labels)
        touched = np.zeros(len(self.sums), dtype=bool)
        touched[labels[changed]] = True
        left = self._labels[changed]
        touched[left[left >= 0]] = True
        for start in range(0, len(changed), _SUM_ROWS):
            self._move(changed[start : start + _SUM_ROWS], labels)
        self._labels[changed] = labels[changed]
        return touched

    def _move(self, rows: np.ndarray, labels: np.ndarray) -> None:
        left = self._labels[rows]
        known = left >= 0
        cluster = np.concatenate([labels[rows], left[known]])
        column = np.concatenate([np.arange(len(rows)), np.flatnonzero(known)])
        data = np.repeat([1.0, -1.0], [len(rows), known.sum()])
        touched, position = np.unique(cluster, return_inverse=True)
        share = csr_matrix((data, (position, column)), shape=(len(touched), len(rows)))
        self.sums[touched] += share @ self._X[rows].astype(np.float64)


def _fill_empty(labels: np.ndarray, squared: np.ndarray, n_clusters: int) -> None:
    """Give each empty cluster the row farthest from its center, in place."""
    counts = np.bincount(labels, minlength=n_clusters)
    empty = np.flatnonzero(counts == 0)
    if not len(empty):
        return
    far = np.argsort(-squared, kind="stable")
    given = 0
    for row in far:
        if given == len(empty) or squared[row] <= 0:
            break
        # Taking the only member of a cluster would empty that one.
        if counts[labels[row]] <= 1:
            continue
        counts[labels[row]] -= 1
        labels[row], squared[row] = empty[given], 0
        counts[empty[given]] = 1
        given += 1


def _check_n_clusters(n_rows: int, n_clusters: int) -> None:
    if n_clusters > n_rows:
        # scikit-learn's checks look for the first words.
        raise UsageError(
            f"n_samples={n_rows} should be >= n_clusters={n_clusters}: "
            "ask for fewer clusters or give more rows."
        )


def _check_sizes(X: np.ndarray, centers: np.ndarray) -> None:
    if X.ndim != 2 or centers.ndim != 2 or X.shape[1] != centers.shape[1]:
        raise UsageError(
            f"The centers must be rows as wide as X. Got centers of shape {centers.shape} "
            f"for X of shape {X.shape} instead."
        )
    _check_n_clusters(len(X), len(centers))


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    """Scale rows to unit length; rows of zeros stay as they are."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)
