"""Which image of a set is which in the database, though files were renamed or moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fewlabel.data import ImageSet


class _ImageRows:
    """Which image of a set is which in the database: by name and content, else by content."""

    def __init__(self, images: ImageSet) -> None:
        self.last = 0
        self.row_of: dict[int, int] = {}
        self.id_of: dict[int, int] = {}
        # Under names that are not among the images.
        self.before: dict[str, int | None] = {}
        self._images = images
        self._index_of = {name: row for row, name in enumerate(images.names)}
        self._by_digest: dict[str, list[int]] | None = None

    def digests(self, rows: Sequence[int]) -> list[str]:
        """Return the fingerprints of some images; of arrays they take time."""
        return self._images.subset(np.asarray(rows, dtype=np.int64)).content_digests()

    def extend(self, records: Sequence[Any]) -> None:
        """Add images of the database that are new there."""
        named = [(one, self._index_of[one.name]) for one in records if one.name in self._index_of]
        found = self.digests([row for _, row in named])
        for (one, row), digest in zip(named, found, strict=True):
            if digest == one.digest:
                self._set(one, row)
        for one in records:
            self.last = one.id
            if one.id not in self.row_of:
                # Renamed, moved, or gone.
                found_row = self._by_content(one)
                if found_row is not None:
                    self._set(one, found_row)
                if one.name not in self._index_of and self.before.get(one.name) is None:
                    self.before[one.name] = found_row

    def _set(self, record: Any, row: int) -> None:
        self.row_of[record.id] = row
        self.id_of.setdefault(row, record.id)

    def _by_content(self, record: Any) -> int | None:
        if self._by_digest is None:
            self._by_digest = {}
            for row, digest in enumerate(self._images.content_digests()):
                self._by_digest.setdefault(digest, []).append(row)
        # Of copies, one that has no answers of its own; first of all of the same file name.
        free = [row for row in self._by_digest.get(record.digest, ()) if row not in self.id_of]
        last = record.name.rpartition("/")[2]
        same = [row for row in free if self._images.names[row].rpartition("/")[2] == last]
        return next(iter(same or free), None)
