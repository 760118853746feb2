"""How far a session is: what is labeled, how fast, how good the model is, and what it is doing."""

import threading
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from fewlabel.data.label_rows import DRAWN
from fewlabel.labelling.messages import _Round
from fewlabel.labelling.refit import _Refitter
from fewlabel.labelling.store import _Store

_PACE_S, _PACE_OF = 300.0, 40


@dataclass(frozen=True)
class _Counts:
    """What changes with the answers only."""

    version: int
    numbers: dict[str, int]
    of_class: Counter[str]


def _count(store: _Store, version: int) -> _Counts:
    current, skipped = store.current(), store.skipped()
    drawn = [i for i, purpose in store.purposes().items() if purpose in DRAWN]
    numbers = {
        "n_labeled": len(current),
        "n_skipped": len(skipped),
        "n_random": sum(i in current for i in drawn),
    }
    of_class = Counter(name for labels in current.values() for name in labels)
    return _Counts(version, numbers, of_class)


class _Pace:
    """How fast people answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_PACE_OF))

    def note(self, annotator: str, n: int) -> None:
        """Take note of answers that came just now."""
        with self._lock:
            self._times[annotator].extend([time.monotonic()] * n)

    def of(self, annotator: str) -> float | None:
        """Return the images a minute of somebody who is at it; None if they are not."""
        now = time.monotonic()
        with self._lock:
            recent = [t for t in self._times.get(annotator, ()) if now - t < _PACE_S]
        # A whole group arrives at one moment: the first batch has no beginning.
        later = sum(t > recent[0] for t in recent) if recent else 0
        return 60 * later / (recent[-1] - recent[0]) if later > 1 else None


def _accuracy(learned: _Round | None) -> dict[str, Any] | None:
    """Return how good a model is; None where that is not known."""
    if learned is None or not np.isfinite(learned.accuracy.value):
        return None
    known = {name: float(getattr(learned.accuracy, name)) for name in ("value", "low", "high")}
    return {**known, "rests_on": learned.rests_on}


def _doing(learner: _Refitter | None) -> dict[str, Any]:
    """Return what a learner is doing."""
    if learner is None:
        return {"running": False, "stage": "", "done": 0, "total": 0, "round": 0, "error": ""}
    return {
        "running": learner.running,
        "stage": learner.stage.name,
        "done": learner.stage.done,
        "total": learner.stage.total,
        "round": 0 if learner.round is None else learner.round.number,
        "error": learner.error,
    }
