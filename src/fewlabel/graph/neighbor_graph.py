"""Labels spread over a nearest-neighbor graph: pure functions on arrays."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components, reverse_cuthill_mckee
from sklearn.utils import gen_batches

from fewlabel.data.task import SingleLabel

_Product = Callable[[np.ndarray], np.ndarray]
_TINY = 1e-12
_THREADS = 2
# Unknowns solved for at once: six arrays of them are held, in float32.
_VALUES_A_SOLVE = 16_000_000

# Of more columns a solve takes a half of the time where rows are beside their neighbors.
_FEW_COLUMNS = 24
_SHIFT = 1 - 1e-5
# Sums below this are as good as nothing, and near what float32 loses.
_MIN_SUM = 1e-30


def _affinity_graph(indices: np.ndarray, distances: np.ndarray) -> sparse.csr_array:
    """Return a nearest-neighbor graph, symmetric, (n, n) float32: ``exp(-4 d**2 / s_i**2)``.

    ``s_i`` is the distance to the farthest neighbor (Zelnik-Manor and Perona, NIPS 2004; the factor
    is that of Calder et al., ICML 2020).
    """
    n, k = indices.shape
    # Copies have no distance at all.
    scale = np.maximum(distances.max(axis=1, keepdims=True), _TINY)
    half = (np.exp(-4 * (distances / scale) ** 2) / 2).astype(np.float32)
    # Half of the indices' memory, where their sum with the mirrored ones can be counted so.
    kind = np.int32 if 2 * n * k <= np.iinfo(np.int32).max else np.int64
    ends = np.arange(0, n * k + 1, k, dtype=kind)
    near = indices.ravel().astype(kind, copy=False)
    graph = sparse.csr_array((half.ravel(), near, ends), shape=(n, n))
    return sparse.csr_array(graph + graph.T)


def _normalize_graph(graph: sparse.csr_array) -> sparse.csr_array:
    """Return D^(-1/2) W D^(-1/2) of a symmetric graph W; a row without edges stays zero."""
    degree = np.asarray(graph.sum(axis=1)).ravel()
    # A row without edges stays zero, and keeps what it was given.
    inverse = np.where(degree > 0, 1 / np.sqrt(np.maximum(degree, _TINY)), 0).astype(np.float32)
    scaled = graph.astype(np.float32)
    scaled.data *= np.repeat(inverse, np.diff(scaled.indptr))
    scaled.data *= inverse[scaled.indices]
    return scaled


def spread(
    graph: sparse.csr_array,
    seeds: np.ndarray,
    alpha: float,
    *,
    start: np.ndarray | None = None,
    tol: float = 1e-3,
    max_iter: int = 200,
) -> np.ndarray:
    """Spread seeds over a graph: solve ``(I - alpha S) F = (1 - alpha) seeds``.

    The system is symmetric and positive definite, so conjugate gradients solve all columns at
    once, in far fewer products than the usual iteration.

    Parameters
    ----------
    graph : csr_array of shape (n, n)
        Normalized graph S, from `_normalize_graph`.
    seeds : ndarray of shape (n, m)
        One column a class (or a class and fold): 1 for a label, else 0.
    alpha : float
        How much comes from neighbors, in [0, 1).
    start : ndarray of shape (n, m), optional
        Scores over a graph that is much alike: half of the iterations then bring these.
    tol : float
        Relative residual of each column to stop at.
    max_iter : int
        Most iterations.

    Returns
    -------
    ndarray of shape (n, m)
        Non-negative scores, float32. A row is all zero only in parts of the graph without
        seeds.

    References
    ----------
    Zhou et al., "Learning with local and global consistency", NIPS 2003.

    Examples
    --------
    >>> chain = _normalize_graph(sparse.csr_array(np.array([[0, 1, 0], [1, 0, 1.0], [0, 1, 0]])))
    >>> scores = spread(chain, np.array([[1.0], [0], [0]]), 0.5).ravel()
    >>> bool(scores[0] > scores[1] > scores[2] > 0)
    True
    """
    alpha = float(alpha)
    found = _spread_near(graph, seeds, alpha, tol, max_iter, start)
    return _reach_further(graph, found, alpha)


def _spread_near(
    graph: sparse.csr_array,
    seeds: np.ndarray,
    alpha: float,
    tol: float = 1e-3,
    max_iter: int = 200,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Spread seeds as `spread` does, but no further than the solver comes, a step an iteration."""
    # A numpy scalar would turn all float32 arrays into float64.
    alpha = float(alpha)
    target = ((1 - alpha) * seeds).astype(np.float32, copy=False)
    solution = _solve(graph, target, alpha, tol, max_iter, start=start)
    return np.maximum(solution, 0, out=solution)


def poisson(
    graph: sparse.csr_array, seeds: np.ndarray, *, tol: float = 1e-3, max_iter: int = 300
) -> np.ndarray:
    """Poisson learning: solve ``L u = sum of (label - mean label) at the labeled rows``.

    Suited to very few labels a class, where spreading with a small ``alpha`` decays before it
    reaches most rows. Rows of ``u`` sum to zero, so they are scores and not probabilities.

    Parameters
    ----------
    graph : csr_array of shape (n, n)
        Symmetric weights W, from `_affinity_graph`, not normalized.
    seeds : ndarray of shape (n, K)
        One-hot rows at the labeled rows, else 0.
    tol : float
        Relative residual to stop at.
    max_iter : int
        Most iterations.

    Returns
    -------
    ndarray of shape (n, K)
        Scores u, float32; 0 in parts of the graph that hold no label. A part whose labels are
        of one class has 1 - 1/K there and -1/K elsewhere.

    References
    ----------
    Calder, Cook, Thorpe and Slepčev, "Poisson learning: graph based semi-supervised learning
    at very low label rates", ICML 2020.

    Examples
    --------
    >>> chain = sparse.csr_array(np.array([[0, 1, 0], [1, 0, 1.0], [0, 1, 0]]))
    >>> u = poisson(chain, np.array([[1.0, 0], [0, 0], [0, 1]]))
    >>> u.argmax(axis=1)[[0, 2]].tolist()
    [0, 1]
    """
    _, part = connected_components(graph, directed=False)
    members = sparse.csr_array((np.ones(len(part)), (part, np.arange(len(part)))))
    labels = seeds.astype(np.float64)
    n_labels = (members @ labels).sum(axis=1, keepdims=True)
    mean = (members @ labels) / np.maximum(n_labels, 1)
    # A part has a solution only if its own sources sum to zero: each takes its own mean label.
    source = np.where(labels.sum(axis=1, keepdims=True) > 0, labels - mean[part], 0)
    degree = np.asarray(graph.sum(axis=1), dtype=np.float64).reshape(-1, 1)
    root = np.sqrt(np.maximum(degree, _TINY))
    # In v = D^(1/2) u the matrix is I - S; the small shift makes it definite.
    v = _solve(_normalize_graph(graph), (source / root).astype(np.float32), _SHIFT, tol, max_iter)
    u = v / root * (degree > 0)
    # Any constant could be added in a part; rounding has added one, and this takes it away.
    u -= ((members @ (degree * u)) / np.maximum(members @ degree, _TINY))[part]
    # Where all labels are of one class there is nothing to solve: the part is of that class.
    decided = (mean == 1).any(axis=1)[part]
    u[decided] = mean[part[decided]] - 1 / seeds.shape[1]
    return u.astype(np.float32)


def _spread_clamped(
    graph: sparse.csr_array, degree: np.ndarray, seeds: np.ndarray, alpha: float
) -> np.ndarray:
    """Spread seeds that stay as they are at the labeled rows: harmonic functions with a leak.

    Other than `spread`'s, such labels take in what others send: each row is of the labels around
    it, and many labels of one class do not add up far away. ``graph`` is normalized, ``degree``
    (n,) is what its rows summed to before, and ``seeds`` (n, K) are one-hot at the labeled rows,
    else 0 (Zhu, Ghahramani and Lafferty, ICML 2003; ``alpha`` 1 is theirs).
    """
    known = np.flatnonzero(seeds.any(axis=1))
    # In D^(1/2) F the matrix is symmetric.
    root = np.sqrt(np.maximum(degree, _TINY)).astype(np.float32)[:, None]
    kept = seeds[known] * root[known]
    # The graph is symmetric: its rows are its columns, and far quicker to take.
    target = np.asarray(graph[known].T @ kept)
    target[known] = 0
    target *= np.float32(alpha)
    found = _solve(graph, target, alpha, 1e-3, 200, fixed=known)
    np.maximum(found, 0, out=found)
    found[known] = kept
    found = _reach_further(graph, found, alpha)
    found /= root
    return found


def _class_mass_normalize(scores: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Return probabilities of scores (n, K): classes scaled to a prior mass (Zhu et al. 2003)."""
    return SingleLabel().normalize(scores, scores.sum(axis=0, dtype=np.float64), None, prior)


def _solve(
    graph: sparse.csr_array,
    target: np.ndarray,
    alpha: float,
    tol: float,
    max_iter: int,
    fixed: np.ndarray | None = None,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Solve ``(I - alpha S) X = target`` by conjugate gradients; X takes the target's place.

    Rows that are ``fixed`` (n,) have no part in it; the target is 0 there.
    """
    n, m = target.shape
    solution, order = target, None
    if m > _FEW_COLUMNS:
        order = reverse_cuthill_mckee(graph, symmetric_mode=True)
        graph, target = graph[order][:, order], target[order]
        fixed = None if fixed is None else np.flatnonzero(np.isin(order, fixed))
        start = None if start is None else start[order]
    # Columns have nothing to do with each other: each thread solves for some of them.
    width = max(1, min(_VALUES_A_SOLVE // (_THREADS * n), -(-m // _THREADS)))

    def product(block: np.ndarray) -> np.ndarray:
        out: np.ndarray = graph @ block
        if fixed is not None:
            out[fixed] = 0
        return out

    def solve(columns: slice) -> None:
        some = target[:, columns].copy()
        begin = some if start is None else start[:, columns].copy()
        target[:, columns] = _conjugate_gradients(product, some, begin, alpha, tol, max_iter)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(solve, gen_batches(m, width)))
    if order is not None:
        solution[order] = target
    return solution


def _conjugate_gradients(
    product: _Product,
    target: np.ndarray,
    solution: np.ndarray,
    alpha: float,
    tol: float,
    max_iter: int,
) -> np.ndarray:
    # In place wherever it can be: of a million rows each array takes as much as the graph.
    residual = product(solution)
    residual *= alpha
    if solution is not target:
        residual += target
        residual -= solution
    direction = residual.copy()
    squared = _column_dot(residual, residual)
    goal = tol**2 * _column_dot(target, target)
    for _ in range(max_iter):
        if (squared <= goal).all():
            break
        image = product(direction)
        image *= -alpha
        image += direction
        # A column that has arrived stays where it is, and an empty one has nowhere to go.
        active = squared > goal
        step = np.where(active, squared / np.maximum(_column_dot(direction, image), _MIN_SUM), 0)
        image *= step
        residual -= image
        solution += np.multiply(direction, step, out=image)
        previous, squared = squared, _column_dot(residual, residual)
        direction *= squared / np.maximum(previous, _MIN_SUM)
        direction += residual
    return solution


def _reach_further(graph: sparse.csr_array, scores: np.ndarray, alpha: float) -> np.ndarray:
    """Pass scores on to the rows that the solver, a step an iteration, has not come to."""
    empty = scores.sum(axis=1) <= 0
    rows = np.flatnonzero(empty)
    while len(rows):
        passed = alpha * (graph[rows] @ scores)
        mass = passed.sum(axis=1)
        rows, passed, mass = rows[mass > 0], passed[mass > 0], mass[mass > 0]
        scores[rows] = passed * np.maximum(1, _MIN_SUM / mass)[:, None]
        empty[rows] = False
        around = np.unique(graph[rows].indices)
        rows = around[empty[around]]
    return scores


def _column_dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->j", a, b)
