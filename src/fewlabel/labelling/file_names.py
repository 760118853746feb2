"""Names of files and folders that every system takes, for images and classes of any name."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from fewlabel.data import ImageSet

# What Windows keeps for devices, whatever the suffix.
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\ud800-\udfff]')
# Bytes of a name; most systems have 255, of which a suffix and a number need a part.
_LONGEST = 120


def _file_name(images: ImageSet, image: int) -> str:
    if images.by_index:
        return f"{_safe(images.names[image])}.png"
    # Nothing but the last part: no table of images leads out of the folder.
    name = images.names[image].replace("\\", "/").rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    return f"{_safe(stem)}.{_safe(suffix)}" if dot and stem else _safe(name)


def _safe(name: str) -> str:
    """Return a name that every system takes for a file or a folder.

    >>> _safe("a/b?"), _safe(".. "), _safe("CON"), _safe("x" * 300) == "x" * 120
    ('a_b_', '_', '_CON', True)
    """
    plain = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", name)).strip(" .")
    short = plain.encode()[:_LONGEST].decode(errors="ignore").strip(" .")
    return f"_{short}" if not short or _RESERVED.fullmatch(short) else short


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names of which no two are the same, not even where case does not count.

    >>> _distinct(["a.png", "A.png", "a-2.png"])
    ['a.png', 'A-2.png', 'a-2-2.png']
    """
    taken: set[str] = set()
    out = []
    for name in names:
        path = Path(name)
        number, new = 1, name
        while new.casefold() in taken:
            number += 1
            new = path.with_name(f"{path.stem}-{number}{path.suffix}").as_posix()
        taken.add(new.casefold())
        out.append(new)
    return out
