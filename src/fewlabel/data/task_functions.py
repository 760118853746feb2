"""What truly differs between one label an image and several: the functions of a `Task`.

``y`` is (n,) of class codes with -1 for unlabeled where an image has one label. Where it may have
several, ``y`` is (n, K) of 1 (present), 0 (absent) and -1 (unknown). ``proba`` is (n, K) in both
cases; for one label its rows sum to 1. Algorithms are written once and call these functions;
nothing else asks which of the two it is.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from fewlabel.data.calibration import Calibration, Scaling, Temperature

Votes = Mapping[int, Mapping[str, tuple[str, ...]]]
"""Names of labels by annotator by image."""


class Task(ABC):
    """One label an image, or several.

    Attributes
    ----------
    name : str
        How files and messages call it.
    metric : str
        What the mean of `correct` is called.
    notes : tuple of str
        What is to be known of it, and of the confidence.
    exclusive : bool
        Whether classes exclude each other, for pages that show it; algorithms do not ask.
    min_classes : int
        Fewest classes of which something can be learned.
    has_preferences : bool
        Whether measurements say which candidates and settings to prefer among nearly equal
        ones, see docs/decisions/0005, and how easy representatives are; else settings are
        chosen by their log loss.
    class_priors : tuple of str
        What spread labels may be normalized by, see `prior`.
    """

    name: ClassVar[str]
    metric: ClassVar[str]
    notes: ClassVar[tuple[str, str]] = ("", "")
    exclusive: ClassVar[bool]
    min_classes: ClassVar[int]
    has_preferences: ClassVar[bool]
    class_priors: ClassVar[tuple[str, ...]]
    _calibration: ClassVar[type[Temperature | Scaling]]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    # Labels

    @abstractmethod
    def encode(self, y: Any, n: int, who: str) -> tuple[np.ndarray, np.ndarray]:
        """Return classes (K,), and n labels as codes; raise `UsageError` if none is labeled.

        The classes of several labels are the numbers of their columns. -1 is unlabeled, or unknown.
        """

    @abstractmethod
    def recode(self, y: Any, classes: np.ndarray, n: int, who: str) -> np.ndarray:
        """Return the codes of n other labels; K for a class that is none of the classes."""

    @abstractmethod
    def decode(self, y: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Return codes as the labels that `encode` was given."""

    def unlearnable(self, y: np.ndarray, classes: Sequence[Any]) -> list[str]:
        """Return sentences that name the classes of which nothing can be learned."""
        return []

    @abstractmethod
    def empty(self, n: int, n_classes: int) -> np.ndarray:
        """Return labels of n images of which nothing is known."""

    @abstractmethod
    def evidence(self, y: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
        """Return which classes are present (n, K), float32, and where that is known, bool."""

    @abstractmethod
    def stratify(self, y: np.ndarray) -> np.ndarray:
        """Return one code an image to deal folds by, int64; -1 where unlabeled."""

    def codes(self, y: np.ndarray) -> np.ndarray | None:
        """Return the class (n,) of each image; None where an image may have several."""
        return None

    @abstractmethod
    def parse(
        self, texts: Sequence[str], where: Sequence[str], classes: Sequence[str] | None
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return labels and classes that texts stand for; the inverse of `texts`."""

    @abstractmethod
    def texts(self, y: np.ndarray, classes: Sequence[str]) -> list[str]:
        """Return labels as texts; ``""`` where nothing is known."""

    def cells(self, y: np.ndarray, classes: Sequence[str]) -> list[str]:
        """Return labels as the texts of a table, by which a reader knows the task."""
        return self.texts(y, classes)

    # Labels as names, (): none of them; what annotators say of an image

    def is_known(self, name: str) -> bool:
        """Return whether a name is that of a class, and not of one that is not known."""
        return True

    @abstractmethod
    def cell(self, names: tuple[str, ...]) -> str:
        """Return the names of labels as the cell of a table."""

    @abstractmethod
    def names(self, text: str) -> tuple[str, ...]:
        """Return the names in a text that is not blank; the inverse of `texts` and `cell`."""

    def check_names(self, names: tuple[str, ...]) -> None:
        """Raise `UsageError` if these cannot be the labels of an image."""
        return

    @abstractmethod
    def vote(
        self, votes: Collection[tuple[str, ...]], given: Sequence[tuple[str, ...]]
    ) -> Iterable[str]:
        """Return the names in most votes; of a tie, those of the latest of all that was given."""

    @abstractmethod
    def decisions(
        self, votes: Votes, proba: np.ndarray | None = None, classes: Sequence[str] = ()
    ) -> Iterator[tuple[Votes, np.ndarray | None, Sequence[str]]]:
        """Return votes of one label each, what a model says of them, and the names it knows."""

    @abstractmethod
    def confusion(self, present: np.ndarray, decided: np.ndarray) -> np.ndarray:
        """Return counts by label and prediction; of several, the right, missed and wrong ones."""

    def labeled(self, y: np.ndarray) -> np.ndarray:
        """Return the rows of which a label is known, ascending; shape (m,), int64."""
        return np.flatnonzero((y >= 0).any(axis=tuple(range(1, y.ndim))))

    def without(self, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return labels with the given rows unlabeled."""
        kept = y.copy()
        kept[rows] = -1
        return kept

    # Labels spread over a graph: a column for every class, or for its presence and its absence

    @abstractmethod
    def seeds(self, y: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray, int]:
        """Return row and column of every label to spread, and the number of columns C."""

    @abstractmethod
    def prior(self, y: np.ndarray, n_classes: int, class_prior: str) -> np.ndarray:
        """Return how frequent each class is, (K,): ``"uniform"``, or as in the ``"labels"``."""

    def usual(self, scores: Callable[[], np.ndarray]) -> np.ndarray | None:
        """Return how much usually arrives at an image (K,), of scores (n, C); None if unused."""
        return None

    @abstractmethod
    def normalize(
        self, scores: np.ndarray, mass: np.ndarray, usual: np.ndarray | None, prior: np.ndarray
    ) -> np.ndarray:
        """Return probabilities (r, K) of scores (r, C); ``mass`` (C,) sums those of all images."""

    def anchor(self, proba: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return spread probabilities (n, K) as other images are predicted from them."""
        return proba

    def rescale(self, proba: np.ndarray) -> np.ndarray:
        """Return probabilities (r, K) of which rows of classes sum to 1."""
        return proba

    # What a network or a linear model learns

    def head_bias(self, targets: np.ndarray, known: np.ndarray | None) -> np.ndarray | None:
        """Return the offsets (K,), float32, that a head should start from; None for random."""
        return None

    @abstractmethod
    def logistic_loss(
        self, logits: np.ndarray, targets: np.ndarray, weights: Any, known: np.ndarray | None
    ) -> tuple[float, np.ndarray]:
        """Return the summed loss of logits (n, K), and its gradient (n, K).

        ``weights`` are of rows; ``known`` (n, K) says how far each of several labels counts.
        """

    # Predictions

    @abstractmethod
    def activate(self, logits: np.ndarray) -> np.ndarray:
        """Return the probabilities (n, K) of logits, float64."""

    @abstractmethod
    def predict(self, proba: np.ndarray) -> np.ndarray:
        """Return the most probable labels, in the form of ``y``, int64."""

    @abstractmethod
    def confidence(self, proba: np.ndarray) -> np.ndarray:
        """Return the probability (n,) that a prediction is right."""

    @abstractmethod
    def margin(self, proba: np.ndarray) -> np.ndarray:
        """Return by how much (n,) a prediction is more probable than the next one."""

    @abstractmethod
    def loss(self, y: np.ndarray, proba: np.ndarray) -> np.ndarray:
        """Return the log loss (n,) of each image, in nats."""

    @abstractmethod
    def entropy(self, proba: np.ndarray) -> np.ndarray:
        """Return the entropy (n,) of each prediction, in nats."""

    @abstractmethod
    def combine(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return the mean of two predictions in log-probability or log-odds, (n, K)."""

    @abstractmethod
    def shares(self, y: np.ndarray, n_classes: int) -> np.ndarray:
        """Return how frequent each class is among labels (K,), one more for each class."""

    def align(self, proba: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return predictions scaled to the class shares among labels.

        Distribution alignment (Berthelot et al. 2020), against the collapse into a few classes.
        """
        if not len(proba):
            return proba
        return self.reweigh(proba, proba.mean(axis=0), self.shares(y, proba.shape[1]))[0]

    @abstractmethod
    def reweigh(
        self, proba: np.ndarray, old: np.ndarray, new: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities where classes are as frequent as ``new`` (K,), not as ``old``.

        And by how much each image (n,) is then more frequent.
        """

    @abstractmethod
    def accept(self, present: np.ndarray, absent: np.ndarray) -> np.ndarray:
        """Return which labels (n, K) of images to assume, from which are surely present or absent.

        One label an image decides all of them. Of several each stands by itself, but an image of
        which only absences are sure, and not of all labels, is passed over: such images would
        teach nothing but absence.
        """

    @abstractmethod
    def soft_targets(
        self, proba: np.ndarray, y: np.ndarray, power: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return sharpened predictions to train on (n, K), and how far each counts (n, K).

        Given labels count wholly and stay as they are; of the others, doubtful ones count less.
        """

    @abstractmethod
    def keep_given(self, proba: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return probabilities in which the labels that are given are certain."""

    @abstractmethod
    def check(self, y: Any, proba: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return known labels and probabilities that fit together, int64 and float64.

        Raises `UsageError` if they do not, or nothing is known.
        """

    def calibrate(self, y: np.ndarray, proba: np.ndarray) -> Calibration:
        """Fit the map that calibrates probabilities of images that the model did not see."""
        return self._calibration.fit(y, proba)

    def calibration(self, parameters: dict[str, Any] | None = None) -> Calibration:
        """Return the map of saved parameters; by default the one that changes nothing."""
        return self._calibration(**{k: float(v) for k, v in (parameters or {}).items()})

    def decided(self, proba: np.ndarray) -> np.ndarray:
        """Return which classes a prediction names, (n, K) bool."""
        return np.asarray(self.evidence(self.predict(proba), proba.shape[1])[0] == 1)

    def confidence_in(self, y: np.ndarray, proba: np.ndarray) -> np.ndarray:
        """Return the probability (n,) that every known label is predicted right."""
        return self.confidence(np.where(self.evidence(y, proba.shape[1])[1], proba, 1.0))

    def correct(self, y: np.ndarray, proba: np.ndarray) -> np.ndarray:
        """Return whether every known label of an image is predicted right, (n,) bool."""
        y, predicted = np.asarray(y), self.predict(np.asarray(proba))
        right = (y == predicted) | (y < 0)
        return np.asarray(right.all(axis=tuple(range(1, right.ndim))))
