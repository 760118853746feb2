"""A Ray cluster, or the cores of this machine as one: where the large steps are handed to."""

from __future__ import annotations

import itertools
import logging
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa

from fewlabel.cluster.lloyd import _lloyd
from fewlabel.cluster.neighbors import NeighborIndex
from fewlabel.data import ImageSet
from fewlabel.data.decode import _quiet_pillow
from fewlabel.data.parallel import _parallel_map
from fewlabel.engine import Engine, use_engine
from fewlabel.errors import DataError, UsageError
from fewlabel.extras import require
from fewlabel.features.base import FeatureExtractor, Progress, _extractor_from_state
from fewlabel.threads import _usable_cores

BLOCK = 2_048
"""Images of one task: what a worker that dies costs."""

RETRIES = 3
"""How often a block is tried again whose worker died."""

# Less than a core, so that other tasks of Ray Data find room beside the workers.
_CPUS_OF_ACTOR = 0.9
_MAX_TABLES = 10_000


class RayEngine(Engine):
    """Runs the large steps of `fit_images` and `select_images` on the workers of a Ray cluster.

    Parameters
    ----------
    opens_blindly : bool
        Whether files are opened without a look, as for a prediction in one pass.
    min_rows : int
        Of fewer rows, clusters and neighbors are found in this process.
    """

    def __init__(self, *, opens_blindly: bool = False, min_rows: int = 100_000) -> None:
        self.opens_blindly = opens_blindly
        self.min_rows = min_rows

    def map(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        lost: Callable[[Any], Any],
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Any]:
        import ray

        task, shared, at_once = ray.remote(_apply), ray.put(function), 2 * n_workers()
        # So many blocks that all workers end at about the same time.
        size = max(1, min(BLOCK, len(items) // (2 * at_once)))
        blocks = [items[start : start + size] for start in range(0, len(items), size)]
        results, pending = list[Any](), deque[tuple[Any, Sequence[Any]]]()
        for block in itertools.chain(blocks, itertools.repeat(None, at_once)):
            if block is not None:
                pending.append((task.options(max_retries=RETRIES).remote(shared, block), block))
            if pending and (block is None or len(pending) > at_once):
                ref, done = pending.popleft()
                results += _result_of(ref, done, task, shared, lost)
                if progress is not None:
                    progress(len(results), len(items))
        return results

    def transform(
        self, extractor: FeatureExtractor, images: ImageSet, progress: Progress | None = None
    ) -> np.ndarray:
        import ray

        shared = [ray.put(extractor.to_state()), ray.put(images._alone())]
        rows = np.empty((len(images), extractor.width), np.float32)
        missing = np.ones(len(images), bool)
        columns = {"index": pa.array(np.arange(len(images)))}
        for block in stream(columns, _Transformer, shared):
            index = block["index"].to_numpy()
            content = b"".join(block["row"].to_pylist())
            rows[index] = np.frombuffer(content, np.float32).reshape(len(index), -1)
            missing[index] = False
            if progress is not None:
                progress("features", int(len(rows) - missing.sum()), len(rows))
        if missing.any():
            first = images.names[int(missing.argmax())]
            raise DataError(
                f"The workers that computed the features of {missing.sum():,} images died, and "
                f"{RETRIES} times more, such as of {first}: see the logs of Ray; they may need "
                "more memory."
            )
        return rows

    def neighbors(
        self, index: NeighborIndex, k: int
    ) -> Iterator[tuple[slice, tuple[np.ndarray, np.ndarray]]]:
        from fewlabel.scale.shards import _sharded_neighbors

        return _sharded_neighbors(index, k)

    def lloyd(
        self, X: np.ndarray, centers: np.ndarray, **settings: Any
    ) -> tuple[np.ndarray, np.ndarray, float, int]:
        import ray

        from fewlabel.scale.shards import _sharded_lloyd

        try:
            return _sharded_lloyd(X, centers, **settings)
        except ray.exceptions.RayActorError:
            # The rows of one of them are gone, and nothing that takes long is lost.
            with use_engine(None):
                return _lloyd(X, centers, **settings)

    def train(
        self, trainer: Any, data: Any, validation: Any
    ) -> tuple[Any, list[dict[str, Any]]] | None:
        from fewlabel.scale.train import train_on_ray

        return train_on_ray(trainer, data, validation)


@contextmanager
def ray_cluster(address: str | None = None) -> Iterator[None]:
    """Connect to a Ray cluster, or start one on this machine, for as long as the block runs.

    Parameters
    ----------
    address : str, optional
        Address of a cluster, such as ``auto`` on one of its machines. By
        default the cores of this machine are the workers.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    MissingExtraError
        If the extra ``ray`` is not installed.
    UsageError
        If there is no cluster at the address.
    """
    # Nothing is reported to anybody; read when Ray starts.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = require("ray", "--engine ray")
    if ray.is_initialized():
        yield
        return
    here: dict[str, Any] = {"num_cpus": _usable_cores(), "include_dashboard": False}
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if address else here),
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"There is no Ray cluster at {address or 'this machine'} ({error}): give the address "
            "that `ray start --head` printed, or leave out --ray-address for this machine."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def on_ray(address: str | None = None) -> Iterator[None]:
    """Do the large steps of `fit_images` and `select_images` on Ray while the block runs.

    Parameters
    ----------
    address : str, optional
        As in `ray_cluster`.

    Yields
    ------
    None
        Nothing.

    Examples
    --------
    >>> with on_ray():  # doctest: +SKIP
    ...     result = fit_images("s3://bucket/photos", "labels.csv")
    """
    with ray_cluster(address), use_engine(RayEngine()):
        yield


def stream(
    columns: dict[str, pa.Array],
    worker: type,
    shared: Sequence[Any],
    size: int | None = None,
) -> Iterator[pa.Table]:
    """Send the blocks of a Ray Data set through workers that live as long as the work.

    Parameters
    ----------
    columns : dict of str to Array
        What the workers get, in tables of a block each.
    worker : type
        Made with ``shared`` by every worker; called with a table, returns one.
    shared : sequence of ObjectRef
        What every worker needs, put into Ray's object store.
    size : int, optional
        Rows of a block; by default `BLOCK`.

    Yields
    ------
    Table
        What the workers return, in the order of the data set. A block whose worker died, again
        and again, is left out.
    """
    import ray

    size = BLOCK if size is None else size
    dataset = ray.data.from_arrow(_tables_of(columns, size))
    # Its own, made with it: what is set in general is for those that come later.
    context = dataset.context
    context.execution_options.preserve_order = True
    # A block is lost then, and not the work.
    context.max_errored_blocks = -1
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    n_actors = max(1, min(n_workers(), -(-len(next(iter(columns.values()))) // size)))
    with warnings.catch_warnings():
        # How often a block is tried again has no other name yet: see the bound in pyproject.toml.
        warnings.simplefilter("ignore", DeprecationWarning)
        results = dataset.map_batches(
            worker,
            # In a list, so that each worker fetches them by itself and one that restarts can, too.
            fn_constructor_args=(list(shared),),
            batch_size=size,
            batch_format="pyarrow",
            # One block at a time, so that none waits at a worker which another one kills.
            compute=ray.data.ActorPoolStrategy(size=n_actors, max_tasks_in_flight_per_actor=1),
            num_cpus=_CPUS_OF_ACTOR,
            max_restarts=-1,
            max_task_retries=RETRIES,
        )
    yield from results.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)


class _Transformer:
    """A worker that computes features."""

    def __init__(self, shared: Sequence[Any]) -> None:
        import ray

        in_one_thread()
        (arrays, meta), self.images = ray.get(list(shared))
        self.extractor = _extractor_from_state(arrays, meta)

    def __call__(self, batch: pa.Table) -> pa.Table:
        index = batch["index"].to_numpy()
        rows = self.extractor.transform(self.images.subset(index))
        # As bytes: nothing is converted on the way.
        return pa.table({"index": index, "row": [row.tobytes() for row in rows]})


def bounds_of(n: int, n_parts: int) -> list[tuple[int, int]]:
    """Cut rows into parts of nearly one size.

    Parameters
    ----------
    n : int
        Rows.
    n_parts : int
        Most parts.

    Returns
    -------
    list of (int, int)
        First row of each, and the one behind its last.
    """
    ends = np.linspace(0, n, max(1, min(n, n_parts)) + 1).astype(int).tolist()
    return list(itertools.pairwise(ends))


def in_one_thread() -> None:
    """Compute with one thread in this worker: there is one of them for each core."""
    import threadpoolctl
    import torch

    torch.set_num_threads(1)
    threadpoolctl.threadpool_limits(1)


def _apply(function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    with _quiet_pillow():
        return _parallel_map(function, items)


def _result_of(
    ref: Any, block: Sequence[Any], task: Any, function: Any, lost: Callable[[Any], Any]
) -> list[Any]:
    """Return the results of a block; where its worker died, of each item by itself."""
    import ray

    try:
        return list(ray.get(ref))
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError):
        if len(block) == 1:
            return [lost(block[0])]
    single = task.options(max_retries=0)
    return [
        _result_of(single.remote(function, [item]), [item], task, function, lost)[0]
        for item in block
    ]


def n_workers() -> int:
    """Return how many workers the cluster has room for.

    Returns
    -------
    int
        One for each of its cores.
    """
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _tables_of(columns: dict[str, pa.Array], size: int) -> list[pa.Table]:
    """Cut columns into tables of a block each, or of several where these would be too many."""
    table = pa.table(columns)
    size *= max(1, -(-len(table) // (size * _MAX_TABLES)))
    return [table.slice(start, size) for start in range(0, len(table), size)]
