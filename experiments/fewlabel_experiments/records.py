"""Records of a run, one JSON object a line: an interrupted run goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fewlabel.errors import UsageError
from fewlabel.files import atomic_file

RUN_FILE = "run.json"
RECORDS_FILE = "records.jsonl"


class RecordStore:
    """The records in a folder.

    Each record is on the disk before the next row begins, so that a run that is stopped, even
    by ``kill -9``, loses the row at hand and no other.
    """

    def __init__(self, folder: Path, made_with: Mapping[str, Any]) -> None:
        self.folder = folder
        self.path = folder / RECORDS_FILE
        content = dict(made_with) | {"fingerprint": fingerprint(made_with)}
        self._claim(content)
        self.records = self._read()

    def find(self, row: str, seed: int) -> dict[str, Any] | None:
        """Return the record of a row and seed."""
        found = [r for r in self.records if r["row"] == row and r["seed"] == seed]
        return found[-1] if found else None

    def append(self, record: dict[str, Any]) -> None:
        """Add a record, in one write that is on the disk when this returns."""
        line = (json.dumps(record, allow_nan=False) + "\n").encode()
        with self.path.open("ab", buffering=0) as file:
            file.write(line)
            os.fsync(file.fileno())
        self.records.append(record)

    def _claim(self, content: dict[str, Any]) -> None:
        """Mark the folder as the place of this run, or see that it is."""
        file = self.folder / RUN_FILE
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"{self.folder} is not a folder: give another name with --out.")
        if not file.is_file():
            if self.folder.is_dir() and any(self.folder.iterdir()):
                raise UsageError(
                    f"{self.folder} holds other files and no {RUN_FILE}: give another folder "
                    "with --out."
                )
            with atomic_file(file) as temporary:
                temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            return
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UsageError(
                f"{file} is damaged ({error}): give another folder with --out."
            ) from error
        if not isinstance(found, dict) or found.get("fingerprint") != content["fingerprint"]:
            raise UsageError(
                f"{self.folder} holds a run with other settings{_difference(found, content)}: "
                "give another folder with --out, or remove it."
            )

    def _read(self) -> list[dict[str, Any]]:
        if not self.path.is_file():
            return []
        records, whole = [], 0
        data = self.path.read_bytes()
        for line in data.splitlines(keepends=True):
            try:
                record = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            records.append(record)
            whole += len(line)
        if whole < len(data):
            if data[whole:].count(b"\n") > 1:
                number = len(records) + 1
                raise UsageError(
                    f"{self.path}, line {number} is not a record: remove the line, or give another "
                    "folder with --out."
                )
            # The write of the last line was cut off: that row is run again.
            os.truncate(self.path, whole)
        return records


def fingerprint(content: Mapping[str, Any]) -> str:
    """Return a short name to what a run depends on."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _difference(found: Any, content: dict[str, Any]) -> str:
    """Name the first setting that differs."""
    if not isinstance(found, dict):
        return ""
    for key in content:
        if key != "fingerprint" and found.get(key) != content[key]:
            inner, own = found.get(key), content[key]
            if isinstance(inner, dict) and isinstance(own, dict):
                name = next(k for k in [*own, *inner] if inner.get(k) != own.get(k))
                return f" ({name} is {inner.get(name)!r} there and {own.get(name)!r} here)"
            return f" ({key} is {inner!r} there and {own!r} here)"
    return ""
