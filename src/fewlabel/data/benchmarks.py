"""Benchmark data sets by name: where they are, where they come from, how they are read."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from fewlabel.data import grocery
from fewlabel.data.arrays import image_set_from_array
from fewlabel.data.catalog import (
    _IDX_NAMES,
    BENCHMARKS,
    DIGITS_TEST,
    NAMES,
    BenchmarkInfo,
    _Benchmark,
)
from fewlabel.data.download import _fetch
from fewlabel.data.folder import _from_folder
from fewlabel.data.formats import IDX_PREFIX, _from_idx_folder, _idx_file
from fewlabel.data.imageset import ImageSet
from fewlabel.data.parallel import Progress
from fewlabel.data.splits import stratified_split
from fewlabel.errors import DataError, DownloadError
from fewlabel.files import cache_folder
from fewlabel.reading import _from_home


def list_benchmarks() -> list[BenchmarkInfo]:
    """Return what benchmark data sets there are, and which are on this machine.

    Returns
    -------
    list of BenchmarkInfo
        One a data set.

    Examples
    --------
    >>> [info.name for info in list_benchmarks()]
    ['digits', 'fashion-mnist', 'mnist', 'letters', 'emnist-letters', 'grocery', 'eurosat']
    >>> list_benchmarks()[0].where
    'built in'
    """
    return [
        dataclasses.replace(b.info, where="built in" if name == "digits" else _find(name))
        for name, b in BENCHMARKS.items()
    ]


def load_benchmark(
    name: str, split: str | None = None, *, progress: Progress | None = None
) -> ImageSet:
    """Open a benchmark data set.

    Parameters
    ----------
    name : str
        One of ``NAMES``.
    split : {"train", "test"}, optional
        Part of it (``grocery`` has ``"val"`` too, ``eurosat`` no splits). By default all parts,
        training images first. Images of arrays are numbered from 0 in what is asked for.
    progress : callable, optional
        Called as ``progress(done, total)`` while photos are looked at.

    Returns
    -------
    ImageSet
        Images with ``truth``.

    Raises
    ------
    DataError
        If there is no such data set or split, or it is not on this machine.

    Examples
    --------
    >>> len(load_benchmark("digits", "train")), len(load_benchmark("digits", "test"))
    (1297, 500)
    """
    benchmark = _benchmark(name)
    if split is not None and not benchmark.splits:
        raise DataError(f"{name} has no splits: leave {split!r} out.")
    if split is not None and split not in benchmark.splits:
        splits = ", ".join(benchmark.splits)
        raise DataError(f"{name} has the splits {splits}. Got {split!r} instead.")
    if name == "digits":
        return _load_digits(split)
    folder = _find(name)
    if folder is None:
        raise DataError(
            f"The benchmark {name} is not on this machine: run `fewlabel data get {name}`, or put "
            "its files into a folder of that name and set FEWLABEL_DATA to the folder above it."
        )
    source = name if split is None else f"{name}:{split}"
    if benchmark.is_tree:
        images = _from_folder(folder, split=split, progress=progress)
        # Messages name the benchmark, not a folder of the cache.
        images.source = source
        return images
    return _from_idx_folder(folder, split, source=source, class_names=benchmark.class_names)


def get_benchmark(name: str, *, progress: Progress | None = None) -> Path:
    """Find a benchmark data set, or download it into the cache folder.

    Parameters
    ----------
    name : str
        One of ``NAMES``.
    progress : callable, optional
        Called as ``progress(bytes_done, bytes_in_all)``, the latter 0 if unknown.

    Returns
    -------
    Path
        Folder that holds it. ``digits`` is in scikit-learn's own folder.

    Raises
    ------
    DataError
        If there is no such data set.
    DownloadError
        If it cannot be fetched; the message says how to put the files in place by hand.
    """
    benchmark = _benchmark(name)
    if name == "digits":
        import sklearn.datasets

        return Path(sklearn.datasets.__file__).parent / "data"
    found = _find(name)
    if found is not None:
        return found
    folder = cache_folder() / name
    if not benchmark.mirrors:
        raise DownloadError(f"{name} cannot be downloaded. {benchmark.by_hand}{_by_hand(name)}")
    try:
        if name == "grocery":
            _get_grocery(benchmark, folder, progress)
        else:
            _get_idx(benchmark, folder, progress)
    except DownloadError as error:
        raise DownloadError(f"{error} {_by_hand(name)}") from error
    return folder


def _benchmark(name: str) -> _Benchmark:
    if name not in BENCHMARKS:
        raise DataError(f"There is no benchmark {name!r}: choose among {', '.join(NAMES)}.")
    return BENCHMARKS[name]


def _find(name: str) -> Path | None:
    """Folder of a data set that is complete: the user's own before the cache."""
    own = os.environ.get("FEWLABEL_DATA")
    for above in ([_from_home(own)] if own else []) + [cache_folder()]:
        folder = above / name
        # `fewlabel doctor` says what is wrong with it.
        if not os.access(folder, os.R_OK | os.X_OK):
            continue
        if _is_complete(folder, BENCHMARKS[name]):
            return folder
    return None


def _is_complete(folder: Path, benchmark: _Benchmark) -> bool:
    """Return whether a folder holds all splits of a data set, or any photo of one without."""
    if not benchmark.is_tree:
        kinds = ("images", "labels")
        return all(_idx_file(folder, split, kind) for split in IDX_PREFIX for kind in kinds)
    if not benchmark.splits:
        return any(folder.rglob("*.jpg"))
    return all((folder / split).is_dir() for split in benchmark.splits)


def _load_digits(split: str | None) -> ImageSet:
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    # Sixteen levels to 0..255.
    pixels = np.rint(X.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    if split is not None:
        # The data set has no split of its own: this one is the same for ever.
        train, test = stratified_split(y, None, DIGITS_TEST / len(y), np.random.default_rng(0))
        chosen = train if split == "train" else test
        pixels, y = pixels[chosen], y[chosen]
    source = "digits" if split is None else f"digits:{split}"
    return image_set_from_array(pixels, y, source=source)


def _get_idx(benchmark: _Benchmark, folder: Path, progress: Progress | None) -> None:
    total = sum(file.max_bytes for file in benchmark.files)
    before = 0
    for file in benchmark.files:
        if not (folder / file.name).is_file():

            def report(done: int, _: int, before: int = before) -> None:
                if progress is not None:
                    progress(before + done, total)

            _fetch(file, [m + file.name for m in benchmark.mirrors], folder, progress=report)
        before += file.max_bytes


def _get_grocery(benchmark: _Benchmark, folder: Path, progress: Progress | None) -> None:
    (file,) = benchmark.files
    archive = _fetch(file, benchmark.mirrors, folder.parent, progress=progress)
    try:
        grocery._extract_grocery(archive, folder)
    finally:
        # A gigabyte that nobody needs twice, be it whole or not.
        archive.unlink(missing_ok=True)


def _by_hand(name: str) -> str:
    benchmark = BENCHMARKS[name]
    files = f"the files {', '.join(_IDX_NAMES)}"
    if benchmark.is_tree:
        above = f"the folders {', '.join(benchmark.splits)}, each with " if benchmark.splits else ""
        files = f"{above}one folder a class"
    origin = f" (from {benchmark.mirrors[0]})" if benchmark.mirrors else ""
    return (
        f"To put it in place by hand, make a folder {name} with {files}{origin}, and set "
        "FEWLABEL_DATA to the folder above it."
    )
