"""The models of a prediction service, by name: loaded, and replaced while they are used."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from fewlabel.data.uploads import Form, _forms_read
from fewlabel.errors import FewLabelError, ModelFormatError
from fewlabel.export import model_id
from fewlabel.model import Model
from fewlabel.persist.arrays import ARRAYS_FILE
from fewlabel.persist.manifest import MANIFEST_FILE
from fewlabel.runs.model import load_run

Log: TypeAlias = Callable[[dict[str, Any]], None]
"""Called with what happened, as JSON types."""

_Stamp: TypeAlias = tuple[tuple[int, int, int], ...]
_WATCHED_S = 2.0
_MAX_KEPT = 256


@dataclass(frozen=True, eq=False)
class _Loaded:
    """A model that is ready to predict."""

    name: str
    id: str
    model: Model
    forms: frozenset[Form]
    max_error: float | None
    _threshold: Callable[[float], float]

    def threshold(self, max_error: float | None) -> float:
        """Return the least confidence of an accepted label; see `Model.threshold`."""
        return 0.0 if max_error is None else self._threshold(max_error)

    def summary(self) -> dict[str, Any]:
        """Return what a client must know of it, as JSON types."""
        expected = self.model.expected
        return {
            "name": self.name,
            "id": self.id,
            "classes": list(self.model.classes),
            "several_labels": not self.model.task.exclusive,
            "max_error": self.max_error,
            "threshold": self.threshold(self.max_error),
            "expected": None if expected is None else expected.to_dict(),
        }


class _Models:
    """Models by name, each of a run folder."""

    def __init__(
        self,
        runs: Mapping[str, Path],
        *,
        max_error: float | None = None,
        log: Log = lambda fields: None,
    ) -> None:
        self._runs, self._max_error, self._log = dict(runs), max_error, log
        self.errors: dict[str, str] = {}
        # What was on the disk when it was loaded last, or could not be.
        self._tried = {name: _stamp_of(run) for name, run in self._runs.items()}
        self._one_at_a_time = threading.Lock()
        self._asked, self._ended = threading.Event(), False
        self._loaded = {name: _load(name, run, max_error) for name, run in self._runs.items()}
        self._watcher = threading.Thread(target=self._watch, name="fewlabel-watch", daemon=True)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all models, the first one first."""
        return tuple(self._runs)

    def __getitem__(self, name: str) -> _Loaded:
        """Return the model of a name as it is now; raise KeyError without one."""
        return self._loaded[name]

    def reload(self, name: str) -> _Loaded:
        """Load the model of a name anew beside the old one, then put it in its place."""
        with self._one_at_a_time:
            run, before = self._runs[name], self._loaded[name].id
            self._tried[name] = _stamp_of(run)
            try:
                loaded = _load(name, run, self._max_error)
            except Exception as error:
                known = isinstance(error, FewLabelError)
                self.errors[name] = str(error) if known else f"It cannot be loaded: {error!r}."
                self._log({"event": "reload failed", "model": name, "error": self.errors[name]})
                if known:
                    raise
                raise ModelFormatError(self.errors[name]) from error
            self._loaded[name] = loaded
            self.errors.pop(name, None)
        self._log({"event": "reload", "model": name, "id": loaded.id, "before": before})
        return loaded

    def reload_all(self) -> None:
        """Have all models loaded anew, soon; may be called where signals are handled."""
        self._asked.set()

    def watch(self) -> None:
        """Load what is replaced on the disk, until `close`."""
        self._watcher.start()

    def close(self) -> None:
        """Watch no longer."""
        self._ended = True
        self._asked.set()
        if self._watcher.is_alive():
            self._watcher.join()

    def _watch(self) -> None:
        while not self._ended:
            asked = self._asked.wait(_WATCHED_S)
            self._asked.clear()
            for name in self.names if not self._ended else ():
                if asked or self._is_replaced(name):
                    try:
                        self.reload(name)
                    except FewLabelError:
                        # It is in the log and in `errors`.
                        continue

    def _is_replaced(self, name: str) -> bool:
        """Return whether there is a model on the disk that was neither loaded nor refused yet."""
        # None while one folder takes the place of another.
        return _stamp_of(self._runs[name]) not in (None, self._tried[name])


def _load(name: str, run: Path, max_error: float | None) -> _Loaded:
    """Load a model, and let it predict once: what is built at first use is there then."""
    stamp = _stamp_of(run)
    model = load_run(run)
    if stamp is None or _stamp_of(run) != stamp:
        raise ModelFormatError(f"The model in {run} was replaced while it was read: load it again.")
    forms = _forms_read(model.predict)
    # It takes some milliseconds of tests, and every request asks for one.
    threshold = lru_cache(_MAX_KEPT)(model.threshold)
    loaded = _Loaded(name, model_id(model), model, forms, max_error, threshold)
    loaded.threshold(max_error)
    return loaded


def _stamp_of(run: Path) -> _Stamp | None:
    """Return what changes when the files of a model do; None where there are none."""
    try:
        folder = run / "model" if (run / "model").is_dir() else run
        found = [(folder / name).stat() for name in (MANIFEST_FILE, ARRAYS_FILE)]
    except OSError:
        return None
    return tuple((status.st_ino, status.st_size, status.st_mtime_ns) for status in found)
