"""The contract of everything that learns: a problem goes in, a fitted candidate comes out."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from fewlabel.data import MultiLabel, SingleLabel, Task
from fewlabel.evaluate.crossfit import LabelFolds

Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class Problem:
    """Images with few labels, as every candidate gets them.

    Attributes
    ----------
    task : Task
        One label an image, or several.
    images : ImageSet or None
        All n images; None where rows are all there is, as in `FewLabelClassifier`.
    extractor : object
        What turned the images into ``rows``: its ``transform(images)`` gives such rows.
    rows : ndarray of shape (n, d), dtype float32
        Features of the images.
    y : ndarray of shape (n,) or (n, K)
        Labels to learn from; -1 where nothing is known. For one label an image, each of the K
        classes has a labeled image.
    n_classes : int
        Number of classes K.
    groups : ndarray of shape (n,), optional
        The same number for images that belong together: copies, near-copies, a named group.
    folds : LabelFolds, optional
        Folds of the labeled images; None where too few are labeled to cross-fit.
    seed : int
        Seed of every random choice.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    time_left : callable
        Gives the seconds that are left; by default there is no limit.
    checkpoints : Path, optional
        Folder that a candidate that trains for long may resume from.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    random : ndarray of shape (r,), dtype int64
        Labeled images that were drawn at random from all: how good a model is on the unlabeled
        ones is measured on these. None where no labels are known to be so.
    class_names : tuple of str
        Names of the K classes; empty where they are not known.
    asked : bool
        Whether the candidate was asked for by its name, so that it is fitted though time is short.
    shared : dict
        What several candidates need and one of them has computed, see `once`.
    """

    task: Task
    images: Any
    extractor: Any
    rows: np.ndarray
    y: np.ndarray
    n_classes: int
    groups: np.ndarray | None = None
    folds: LabelFolds | None = None
    seed: int = 0
    device: str = "auto"
    time_left: Callable[[], float] = field(default_factory=lambda: lambda: math.inf)
    checkpoints: Path | None = None
    progress: Callable[[str, int, int], None] | None = None
    random: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    class_names: tuple[str, ...] = ()
    asked: bool = False
    shared: dict[Hashable, Any] = field(default_factory=dict)

    def once(self, key: Hashable, compute: Callable[[], Made]) -> Made:
        """Return what several candidates share; ``compute`` it for the first that asks."""
        if key not in self.shared:
            self.shared[key] = compute()
        found: Made = self.shared[key]
        return found


@dataclass(eq=False, kw_only=True)
class Fitted(ABC):
    """A candidate that has learned.

    Attributes
    ----------
    name : str
        Name of the candidate.
    proba : ndarray of shape (n, K)
        Uncalibrated probabilities of all images.
    tested : ndarray of shape (m,), dtype int64
        Rows of the labeled images that it was tested on, ascending; none where too few are
        labeled.
    oof_proba : ndarray of shape (m, K)
        Uncalibrated probabilities of these by fits that did not see their labels.
    extractor : object
        What turns images into the rows that `predict_proba` takes.
    ledger : PseudoLabelLedger, optional
        Every label that was assumed.
    history : object, optional
        What was recorded while it learned.
    settings : dict
        Settings that it chose for itself, as JSON types.
    notes : tuple of str
        What the user must know.
    inductive : dict of str to ndarray of shape (m, K)
        Where it needs the graph: what else it has learned that does not, as ``oof_proba``.
    """

    name: str
    proba: np.ndarray
    tested: np.ndarray
    oof_proba: np.ndarray
    extractor: Any
    ledger: Any = None
    history: Any = None
    settings: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    inductive: dict[str, np.ndarray] = field(default_factory=dict)

    def linear_model(self, name: str) -> Any:
        """Return the linear model of one of ``inductive``; None for a network's own head."""
        return None

    @property
    def shape(self) -> tuple[int, int] | None:
        """Features of a row that it takes and classes that it knows; None where it cannot say."""
        return None

    @property
    def graph(self) -> Any:
        """The graph that it predicts by, for what searches the same rows; None without one."""
        return None

    @abstractmethod
    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        """Return uncalibrated probabilities (m, K) of rows (m, d) that ``extractor`` gave."""

    @abstractmethod
    def to_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return what predicting needs, as arrays and JSON types, for `Candidate.from_state`."""


class Candidate(ABC):
    """A method that learns from labeled and unlabeled images.

    Attributes
    ----------
    name : str
        How commands, files and reports call it.
    summary : str
        What it does, in one line for help and documentation.
    tasks : tuple of Task
        What it can learn.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    tasks: ClassVar[tuple[Task, ...]] = (SingleLabel(), MultiLabel())

    def why_not(self, problem: Problem) -> str:
        """Return why it cannot learn from this, in one sentence; empty where it can."""
        return ""

    @abstractmethod
    def fit(self, problem: Problem) -> Fitted:
        """Learn from all labels, and predict labeled images by fits that do not see theirs."""

    @classmethod
    @abstractmethod
    def from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> Fitted:
        """Return what `Fitted.to_state` gave, for ``predict_proba`` and nothing else.

        Raises `ModelFormatError` if something is missing or does not fit together.
        """
