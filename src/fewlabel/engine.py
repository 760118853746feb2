"""Where the large steps of the work run: in this process, or on the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import numpy as np


class Engine(Protocol):
    """What another place of work does instead of this process, with the same results.

    Attributes
    ----------
    opens_blindly : bool
        Whether files are opened without a look: whoever reads them looks at them.
    min_rows : int
        Of fewer rows, clusters and neighbors are found in this process.
    """

    opens_blindly: bool
    min_rows: int

    def map(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        lost: Callable[[Any], Any],
        progress: Callable[[int, int], None] | None,
    ) -> list[Any]:
        """Apply a function to all items; what a lost worker leaves undone becomes ``lost(item)``.

        Parameters
        ----------
        function : callable
            Called with one item.
        items : sequence
            The items.
        lost : callable
            Called with an item whose worker died, again and again.
        progress : callable or None
            Called as ``progress(done, total)``.

        Returns
        -------
        list
            What the function returned, in the order of the items.
        """

    def transform(
        self, extractor: Any, images: Any, progress: Callable[[str, int, int], None] | None
    ) -> np.ndarray:
        """Compute the features of images with a fitted extractor.

        Parameters
        ----------
        extractor : FeatureExtractor
            The extractor.
        images : ImageSet
            The images.
        progress : callable or None
            Called as ``progress(stage, done, total)``.

        Returns
        -------
        ndarray of shape (n, d), dtype float32
            One row an image.
        """

    def neighbors(
        self, index: Any, k: int
    ) -> Iterator[tuple[slice, tuple[np.ndarray, np.ndarray]]]:
        """Find the nearest other rows of every row, part by part.

        Parameters
        ----------
        index : NeighborIndex
            The rows.
        k : int
            Neighbors of each.

        Yields
        ------
        part : slice
            Some rows, in the order in which the index holds them.
        found : tuple of ndarray
            Indices and distances, both of shape (m, k).
        """

    def lloyd(
        self, X: np.ndarray, centers: np.ndarray, *, max_iter: int, tol: float, spherical: bool
    ) -> tuple[np.ndarray, np.ndarray, float, int]:
        """Run Lloyd's iterations of k-means.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            Rows.
        centers : ndarray of shape (k, d)
            First centers.
        max_iter : int
            Most iterations.
        tol : float
            As in `fewlabel.cluster.KMeans`.
        spherical : bool
            Whether centers are scaled to unit length.

        Returns
        -------
        tuple
            Centers, labels, inertia and iterations.
        """

    def train(
        self, trainer: Any, data: Any, validation: Any
    ) -> tuple[Any, list[dict[str, Any]]] | None:
        """Train a network data-parallel, with the step that it would have here.

        Parameters
        ----------
        trainer : Trainer
            The training, which has not begun.
        data : TrainingSet
            What to learn from.
        validation : object or None
            Rows that are not trained on.

        Returns
        -------
        tuple or None
            The averaged network and the history; None where it is better done here.
        """


_current: ContextVar[Engine | None] = ContextVar("engine", default=None)


def current_engine() -> Engine | None:
    """Return the engine in use; None where the work is done in this process.

    Returns
    -------
    Engine or None
        The engine of the innermost `use_engine`.
    """
    return _current.get()


@contextmanager
def use_engine(engine: Engine | None) -> Iterator[None]:
    """Have an engine do the large steps while the block runs.

    Parameters
    ----------
    engine : Engine or None
        The engine, such as `fewlabel.scale.ray.RayEngine`; None is this process.

    Yields
    ------
    None
        Nothing.
    """
    token = _current.set(engine)
    try:
        yield
    finally:
        _current.reset(token)
