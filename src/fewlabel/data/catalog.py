"""The table of benchmark data sets: sizes, licenses, mirrors and checksums."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from types import MappingProxyType

from fewlabel.data import grocery
from fewlabel.data.download import _RemoteFile

DIGITS_TEST = 500
"""Test images of ``digits``, which has no split of its own."""


@dataclass(frozen=True)
class BenchmarkInfo:
    """What is known of a benchmark data set.

    Parameters
    ----------
    name : str
        Name that ``load_images`` takes.
    description : str
        One line on its content.
    n_train : int
        Training images of the published data set.
    n_test : int
        Test images of the published data set; 0 where it has no splits.
    classes : int
        Number of classes.
    license : str
        License or source.
    where : str, Path or None
        Folder that holds it, ``"built in"``, or None if it is not on this machine.
    """

    name: str
    description: str
    n_train: int
    n_test: int
    classes: int
    license: str
    where: str | Path | None = None


@dataclass(frozen=True)
class _Benchmark:
    """A benchmark data set, its form, and where it comes from."""

    info: BenchmarkInfo
    splits: tuple[str, ...] = ("train", "test")
    # Photos in CLASS or SPLIT/CLASS folders.
    is_tree: bool = False
    class_names: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    files: tuple[_RemoteFile, ...] = ()
    by_hand: str = ""


_IDX_NAMES = tuple(
    f"{split}-{kind}-ubyte.gz"
    for split in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
)
# Sizes and SHA-256 of the official .gz files. Files that a user puts into FEWLABEL_DATA are
# read as they are: repacked ones hold the same images under another checksum.
_MNIST_FILES = (
    (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
    (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
    (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
)
_FASHION_FILES = (
    (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
)


def _idx_files(known: tuple[tuple[int, str], ...]) -> tuple[_RemoteFile, ...]:
    return tuple(
        _RemoteFile(n, size, sha) for n, (size, sha) in zip(_IDX_NAMES, known, strict=True)
    )


_FASHION_CLASSES = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle_boot"

_ALL = (
    _Benchmark(
        BenchmarkInfo(
            "digits", "handwritten digits, 8x8 gray, that ship with scikit-learn",
            1_297, DIGITS_TEST, 10, "CC BY 4.0 (E. Alpaydin, C. Kaynak)",
        )
    ),
    _Benchmark(
        BenchmarkInfo(
            "fashion-mnist", "pictures of clothes, 28x28 gray",
            60_000, 10_000, 10, "MIT (Zalando Research)",
        ),
        class_names=tuple(name.replace("_", " ") for name in _FASHION_CLASSES.split()),
        mirrors=(
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        files=_idx_files(_FASHION_FILES),
    ),
    _Benchmark(
        BenchmarkInfo(
            "mnist", "handwritten digits, 28x28 gray",
            60_000, 10_000, 10, "public (Y. LeCun, C. Cortes, C. Burges)",
        ),
        class_names=tuple("0123456789"),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        files=_idx_files(_MNIST_FILES),
    ),
    _Benchmark(
        BenchmarkInfo(
            "letters", "handwritten letters A to Z, 28x28 gray, cut and centered as MNIST is",
            10_424, 572, 26, "Chars74K and Muti-Kara, for research",
        ),
        class_names=tuple(ascii_uppercase),
        by_hand="It has no public mirror in this form: it is made of the handwritten letters of "
        "Chars74K (writers 1 to 44 for training) and the Muti-Kara capitals, centered in 28x28 "
        "pixels. ",
    ),
    _Benchmark(
        BenchmarkInfo(
            "emnist-letters", "handwritten letters A to Z in both cases, unbalanced, 28x28 gray",
            48_682, 9_723, 26, "free with citation (NIST; EMNIST, Cohen et al. 2017)",
        ),
        class_names=tuple(ascii_uppercase),
        by_hand="It has no public mirror in this form: it is made of the letters in the test part "
        "of EMNIST by class (https://www.nist.gov/itl/products-and-services/emnist-dataset), "
        "upright, labeled 0 to 25 whatever their case, and split at random. ",
    ),
    _Benchmark(
        BenchmarkInfo(
            "grocery", "photos of groceries in shops, in color, of different sizes",
            grocery.COUNTS["train"], grocery.COUNTS["test"], 43,
            "MIT (M. Klasson, C. Zhang, H. Kjellström)",
        ),
        splits=tuple(grocery.COUNTS),
        is_tree=True,
        mirrors=(
            "https://codeload.github.com/marcusklasson/GroceryStoreDataset/zip/refs/heads/master",
            "https://github.com/marcusklasson/GroceryStoreDataset/archive/refs/heads/master.zip",
        ),
        files=(_RemoteFile("grocery-master.zip", 1_000_000_000),),
    ),
    _Benchmark(
        BenchmarkInfo(
            "eurosat", "satellite images of ten kinds of land use, 64x64 in color",
            27_000, 0, 10, "MIT (P. Helber, B. Bischke, A. Dengel, D. Borth)",
        ),
        splits=(),
        is_tree=True,
        by_hand="Its authors offer it at https://zenodo.org/records/7711810 (EuroSAT_RGB.zip); a "
        "part of it will do. ",
    ),
)  # fmt: skip
BENCHMARKS: Mapping[str, _Benchmark] = MappingProxyType({b.info.name: b for b in _ALL})

NAMES = tuple(BENCHMARKS)
"""Names of the benchmark data sets."""

TREES = tuple(name for name, benchmark in BENCHMARKS.items() if benchmark.is_tree)
"""Names of those that are photos in folders."""
