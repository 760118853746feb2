"""The Grocery Store Dataset: from its archive to ``SPLIT/CLASS/*.jpg``."""

import re
import zipfile
import zlib
from collections import Counter
from pathlib import Path

from fewlabel.errors import DownloadError, RunFolderError
from fewlabel.files import atomic_folder

COUNTS = {"train": 2640, "val": 296, "test": 2485}
"""Photos in each split."""

_MAX_FILE = 20_000_000
_MAX_TOTAL = 2_000_000_000
# .../dataset/train/Fruit/Apple/Golden-Delicious/Golden-Delicious_004.jpg: the coarse class
# is the folder below Fruit, Packages or Vegetables. Only names that match are written, so
# none can lead out of the folder.
_MEMBER = re.compile(
    r"[^/]+/dataset/(?P<split>train|val|test)/(?:Fruit|Packages|Vegetables)/"
    r"(?P<label>\w[\w-]*)/(?:[\w-]+/)?(?P<file>\w[\w-]*\.jpg)"
)


def _extract_grocery(archive: Path, folder: Path) -> None:
    """Unpack the archive of the data set, one folder a coarse class."""
    try:
        with zipfile.ZipFile(archive) as bundle, atomic_folder(folder) as temporary:
            found = _unpack(bundle, temporary, archive)
            if found != COUNTS:
                raise DownloadError(
                    f"{archive} holds {_listed(found)} photos instead of {_listed(COUNTS)}: "
                    "fetch it again, or report that the data set has changed."
                )
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DownloadError(f"{archive} is damaged ({error}): fetch it again.") from error
    except RunFolderError as error:
        raise DownloadError(
            f"{folder} exists but is not complete: remove it and fetch again."
        ) from error


def _unpack(bundle: zipfile.ZipFile, folder: Path, archive: Path) -> dict[str, int]:
    found_in: Counter[str] = Counter()
    written = 0
    for info in bundle.infolist():
        match = _MEMBER.fullmatch(info.filename)
        if match is None:
            continue
        with bundle.open(info) as stream:
            # The size in the directory of the archive may lie.
            data = stream.read(_MAX_FILE + 1)
        written += len(data)
        if len(data) > _MAX_FILE or written > _MAX_TOTAL:
            raise DownloadError(
                f"{archive}: {info.filename} unpacks to more than a photo can be; it is not used."
            )
        target = folder / match["split"] / match["label"] / match["file"]
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            raise DownloadError(f"{archive} holds {match['file']} twice; it is not used.")
        target.write_bytes(data)
        found_in[match["split"]] += 1
    return dict(found_in)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {split}" for split, n in sorted(counts.items())) or "no"
