"""What a training has finished, on disk: an interrupted run goes on behind it."""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from fewlabel.errors import ModelFormatError
from fewlabel.locks import _remove_leftovers
from fewlabel.persist import Bundle, load_bundle, save_bundle
from fewlabel.persist.arrays import _parse_json
from fewlabel.persist.manifest import ARRAYS_FILE, MANIFEST_FILE
from fewlabel.reading import _read_regular
from fewlabel.semisupervised.history import _plain

_KIND = "checkpoint"
_TRAINING = ".training.safetensors"
_OWN = "kept."
_FILES = {ARRAYS_FILE, MANIFEST_FILE}


class _Checkpoints:
    """Arrays and models by name, of the run that ``about`` decides; none without a ``folder``."""

    def __init__(self, folder: str | Path | None, about: Any = None) -> None:
        self.folder = None if folder is None else Path(folder)
        self._about = _digest_of(*about) if isinstance(about, list | tuple) else _digest_of(about)
        self._is_alone = False

    def get(self, name: str) -> Bundle | None:
        """Return what was kept under a plain name; None if absent, damaged, or of another run."""
        if self.folder is None or not (self.folder / name).is_dir():
            return None
        # What is damaged is trained again, which costs time and nothing else.
        with contextlib.suppress(ModelFormatError):
            bundle = load_bundle(self.folder / name, kind=_KIND)
            # The arrays have their checksum, and what is said beside them has this one.
            digest, about = bundle.meta.pop("digest", None), bundle.meta.pop("about", None)
            if about == self._about and digest == _digest_of(name, bundle.meta):
                return bundle
        return None

    def put(
        self, name: str, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any] | None = None
    ) -> None:
        """Keep arrays and JSON types; the first that a run keeps takes the place of other runs."""
        if self.folder is None:
            return
        # Late, so that a run that fails before it has anything to keep removes nothing.
        if not self._is_alone:
            self._remove_others()
        said = dict(meta or {})
        digest = _digest_of(name, json.loads(json.dumps(said)))
        said |= {"about": self._about, "digest": digest}
        # What is damaged is no model any more, and would not be replaced.
        place = self.folder / name
        if place.is_dir() and {entry.name for entry in place.iterdir()} <= _FILES:
            shutil.rmtree(place)
        save_bundle(place, kind=_KIND, arrays=arrays, meta=said, force=True)

    def get_model(self, name: str, template: Any) -> tuple[Any, dict[str, np.ndarray]] | None:
        """Return a fitted model as cloned from a template, and the arrays kept with it."""
        bundle = self.get(name) if hasattr(template, "from_state") else None
        if bundle is None:
            return None
        own = {key: array for key, array in bundle.arrays.items() if key.startswith(_OWN)}
        arrays = {key: array for key, array in bundle.arrays.items() if key not in own}
        with contextlib.suppress(ModelFormatError, KeyError, TypeError):
            given = {
                key: getattr(template, key) for key in ("device", "task") if hasattr(template, key)
            }
            loaded = type(template).from_state(arrays, bundle.meta["model"], **given)
            # With the parameters of the template: it may be trained further.
            model = clone(template)
            for key, value in vars(loaded).items():
                if key.endswith("_") and not key.startswith("_"):
                    setattr(model, key, value)
            model.history_ = bundle.meta["history"]
            return model, {key.removeprefix(_OWN): array for key, array in own.items()}
        return None

    def put_model(self, name: str, model: Any, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a fitted model and its ``history_`` with arrays of its own."""
        if self.folder is None:
            return
        state, meta = model.to_state()
        rows = [
            {key: _plain(value) for key, value in row.items()}
            for row in getattr(model, "history_", [])
        ]
        own = {_OWN + key: array for key, array in arrays.items()}
        self.put(name, state | own, {"model": meta, "history": rows})

    def file(self, name: str) -> Path | None:
        """Return the file for the state of a training in progress; None where nothing is kept."""
        if self.folder is None:
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{name}{_TRAINING}"

    def clear(self) -> None:
        """Remove what this run has kept, and the states of trainings."""
        if self.folder is None or not self.folder.is_dir():
            return
        for place, about in self._places():
            if about == self._about:
                shutil.rmtree(place)
        for file in self.folder.glob(f"*{_TRAINING}"):
            file.unlink(missing_ok=True)

    def _remove_others(self) -> None:
        assert self.folder is not None
        _remove_leftovers(self.folder)
        for place, about in self._places():
            if about != self._about:
                shutil.rmtree(place)
        self._is_alone = True

    def _places(self) -> Iterator[tuple[Path, Any]]:
        """Yield the folders of all runs with what names the run of each."""
        assert self.folder is not None
        for file in sorted(self.folder.glob("*/manifest.json")):
            with contextlib.suppress(OSError, ValueError, AttributeError, LookupError, TypeError):
                manifest = _parse_json(_read_regular(file))
                # Only what was written here: a folder of the user's may hold anything.
                if manifest.get("kind") == _KIND:
                    yield file.parent, manifest["meta"].get("about")


def _digest_of(*parts: Any) -> str:
    """Return a name for data and settings, so that what was kept of others is not taken."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.shape} {part.dtype}".encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            digest.update(json.dumps(part, default=str, sort_keys=True).encode())
    return digest.hexdigest()
