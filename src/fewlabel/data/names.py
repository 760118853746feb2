"""Images found by the names that tables, manifests and labeling tools give them."""

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from urllib.parse import unquote

from fewlabel.errors import UsageError

# No system has longer paths; each rule looks at all parts of one.
_MAX_LENGTH = 4096
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^/]*/([^?#]*)", re.IGNORECASE)
_LOCAL_FILE = re.compile(r"/data/(?:local-files/?\?(?:[^#]*&)?d=|upload/)([^&#]*)")
# Label Studio stores uploads in one folder a project, with eight digits in front.
_UPLOAD = re.compile(r"[0-9a-f]{8}-(.+)", re.DOTALL)


class _ImageFinder:
    """Finds images by name: literally first, then by rules that forgive; never one of several."""

    def __init__(self, names: Iterable[str], source: str | Path, error: type[UsageError]) -> None:
        self.names = dict.fromkeys(names)
        self.source = source
        self.error = error

    def find(self, name: str, where: str) -> str | None:
        """Return the image that a name means, as it is called among ``names``, or None."""
        if name in self.names:
            return name
        if len(name) > _MAX_LENGTH:
            return None
        for spelling in _spellings(name, self._folder):
            found = self._spelled.get(spelling, [])
            if found:
                return spelling if spelling in found else self._one(found, name, where)
        upload = _UPLOAD.fullmatch(_plain(name).rpartition("/")[2])
        for stored in (upload[0], upload[1]) if upload else ():
            found = self._uploaded.get(_as_uploaded(stored), [])
            if found:
                return self._one(found, name, where)
        return None

    def knows(self, name: str) -> bool:
        """Return whether a name is that of an image, but for its spelling."""
        return name in self.names or _plain(name) in self._spelled

    def close(self, name: str) -> str | None:
        """Return the image whose name is most like one that is not there."""
        parts = _plain(name).casefold().split("/")[::-1]

        def alike(other: str) -> int:
            pairs = zip(parts, other.casefold().split("/")[::-1], strict=False)
            return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

        best = max(self.names, key=alike, default="")
        if alike(best):
            return best
        close = difflib.get_close_matches(name[:_MAX_LENGTH], list(self.names)[:20_000], n=1)
        return close[0] if close else None

    def _one(self, found: list[str], name: str, where: str) -> str:
        if len(found) > 1:
            raise self.error(
                f"{where}: {name.strip()} may be {found[0]!r} or {found[1]!r}: write one of these "
                "names exactly."
            )
        return found[0]

    @cached_property
    def _folder(self) -> str:
        """Name of the folder that holds the images."""
        path = Path(self.source).resolve()
        try:
            return _plain(path.name if path.is_dir() else path.parent.name)
        except OSError:
            return ""

    @cached_property
    def _spelled(self) -> dict[str, list[str]]:
        return _grouped(self.names, _plain)

    @cached_property
    def _uploaded(self) -> dict[str, list[str]]:
        return _grouped(self.names, lambda name: _as_uploaded(name.rpartition("/")[2]))


def _is_file(path: Path) -> bool:
    """Return whether a path that a table gives is that of a file; it may be none at all."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _grouped(names: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(key(name), []).append(name)
    return groups


def _plain(name: str) -> str:
    """Bring a path to one spelling: slashes, no ``./``, no blanks at ends, composed accents."""
    # macOS decomposes the accents of file names.
    parts = unicodedata.normalize("NFC", name.replace("\\", "/")).split("/")
    return "/".join(part for part in map(str.strip, parts) if part not in ("", "."))


def _spellings(name: str, folder: str) -> Iterator[str]:
    """Give what a name may stand for, the likeliest first."""
    found = _ADDRESS.match(name.strip()) or _LOCAL_FILE.match(name.strip())
    texts = [_plain(found[1] if found else name)]
    if "%" in texts[0]:
        texts.append(_plain(unquote(texts[0])))
    yield from texts
    for text in texts:
        parts = text.split("/")
        for i, part in enumerate(parts[:-1]):
            # The folders in front of an address are of another place, whatever they are called.
            if found or part == folder:
                yield "/".join(parts[i + 1 :])


def _as_uploaded(name: str) -> str:
    """Return the name that Label Studio stores a file under, without the digits."""
    return re.sub(r"[^-\w.]", "", unicodedata.normalize("NFC", name).strip().replace(" ", "_"))
