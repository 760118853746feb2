"""A queue and a model that say what a test wants."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from fewlabel.evaluate import Acceptance, AccuracyEstimate
from fewlabel.labelling.store import _Store
from fewlabel.labelling.worker import _Stage


@dataclass
class InOrder:
    """Images by their number, of which every fifth is random; groups of a few on demand."""

    n: int
    store: _Store | None = None
    pages: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)

    def wanted(self) -> Iterator[int]:
        return iter(range(self.n))

    def purpose(self, image: int) -> str:
        return "random" if image % 5 == 4 else "train"

    def groups(self, n: int = 24) -> Iterator[Any]:
        done = set() if self.store is None else set(self.store.current())
        for label, images in self.pages:
            open_ = tuple(i for i in images if i not in done)[:n]
            if open_:
                yield SimpleNamespace(label=label, images=open_, confidence=0.97, round=1)


class Told:
    """A model that was told the truth, and learns nothing."""

    running, stage, error = False, _Stage(), ""

    def __init__(self, truth: list[str], *, value: float = 0.91, **known: Any) -> None:
        self.n_answered, n = 0, len(truth)
        self.listeners: list[Any] = []
        self.explained: dict[int, Future[bytes]] = {}
        classes = tuple(sorted({name for cell in truth for name in cell.split("|") if name}))
        self.round = SimpleNamespace(
            number=1,
            suggested=np.array(truth, object),
            confidence=np.full(len(truth), 0.93, np.float32),
            accuracy=AccuracyEstimate(
                value, value - 0.04, value + 0.03, 40, 0, 0.95, "wilson", True, ""
            ),
            rests_on="40 random labels",
            curve=((20, 0.62, 0.5, 0.73), (40, 0.78, 0.68, 0.86), (60, value, value - 0.04, 0.95)),
            classes=classes,
            source=np.full(n, 2, np.uint8),
            unlike=np.array([], np.int64),
            near=np.zeros((0, 2), np.int64),
            tested=np.array([], np.int64),
            tested_proba=np.zeros((0, len(classes)), np.float32),
            promises=(Acceptance(0.02, 0.9, 200, 190, 1, 0), Acceptance(0.01, None, 200, 0, 0, 99)),
        )
        vars(self.round).update(known)

    def explain(self, image: int) -> Future[bytes]:
        return self.explained.setdefault(image, Future())

    def answered(self) -> None:
        self.n_answered += 1

    def close(self) -> None:
        pass
