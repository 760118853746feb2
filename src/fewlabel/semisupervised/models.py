"""Models that the rounds of estimators train in turn, each once, and what each predicts."""

import warnings
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning

from fewlabel.data.task import Task
from fewlabel.errors import ModelFormatError
from fewlabel.semisupervised.acceptance import PseudoLabels
from fewlabel.semisupervised.checkpoints import _Checkpoints
from fewlabel.semisupervised.rounds import _Track

Progress = Callable[[str, int, int], None]

_AT_ONCE = 8_192
# A row's target keeps so many classes of so much probability, where each costs a copy of the row.
_MAX_CLASSES, _MIN_TARGET = 3, 0.05


@dataclass(frozen=True, eq=False)
class _Training:
    """One training: what is trained, and on what."""

    name: str
    template: Any
    rows: np.ndarray  # (m,) row numbers, some of them repeated
    targets: np.ndarray  # (m, K), the probability of each label
    mask: np.ndarray  # (m, K) bool, which of them are known
    weights: np.ndarray  # (m,)
    former: Any = None  # a fitted network to go on from


class _Models:
    """Models by name; with a folder, those that can be saved are kept there and not in memory."""

    def __init__(
        self,
        X: np.ndarray,
        classes: np.ndarray,
        checkpoints: _Checkpoints,
        *,
        seed: int,
        stage: str,
        progress: Progress | None = None,
        keeps_models: bool = True,
    ) -> None:
        self.X, self.classes, self.checkpoints = X, classes, checkpoints
        self.seed, self.stage, self.progress = seed, stage, progress
        self.keeps_models = keeps_models
        self.trained: list[str] = []
        self.last: Any = None
        self._templates: dict[str, Any] = {}
        self._kept: dict[str, tuple[Any, np.ndarray]] = {}

    def fit(self, training: _Training, *, predicts: bool = True) -> np.ndarray:
        """Train a model unless an interrupted run has; return its probabilities of all rows."""
        name = training.name
        self._templates[name] = training.template
        kept = self._load(name)
        if kept is None:
            X, targets, weights = self.X[training.rows], training.targets, training.weights
            model = self._new(name, training)
            if hasattr(model, "fit_soft"):
                mask = {} if training.mask.all() else {"mask": training.mask.astype(np.float32)}
                model.fit_soft(X, targets, sample_weight=weights, classes=self.classes, **mask)
            else:
                model = _fit_weighted(model, X, targets, weights, self.classes)
            # What is kept must not hold on to a folder, or to the caller.
            _set(model, checkpoint=None, progress=None)
            self.trained.append(name)
            rows = self.X if predicts else self.X[:0]
            kept = model, _predict_classes(model, rows, self.classes)
            self._keep(name, *kept)
            if self.progress is not None and "progress" not in training.template.get_params():
                self.progress(f"{self.stage}: {name}", 1, 1)
        self.last = kept[0]
        return kept[1]

    def proba(self, name: str) -> np.ndarray:
        """Return what a model predicts for all rows; (n, K), float32."""
        return self._find(name)[1]

    def model(self, name: str) -> Any:
        """Return a fitted model, from disk where it is kept there."""
        return self._find(name)[0]

    def _find(self, name: str) -> tuple[Any, np.ndarray]:
        kept = self._kept.get(name) or self._load(name)
        if kept is None:
            raise ModelFormatError(
                f"The model {name} is no longer in {self.checkpoints.folder}: call fit again, "
                "which trains what is missing."
            )
        return kept

    def _new(self, name: str, training: _Training) -> Any:
        model = clone(training.template)
        # A seed by name: a run that goes on behind an interruption draws what it would have drawn.
        _set(model, random_state=_seed_of(self.seed, name), checkpoint=self.checkpoints.file(name))
        if training.former is not None:
            # The network alone: its optimizer would remember the labels of another round.
            model.network_ = training.former.network_
        if self.progress is not None:
            progress, stage = self.progress, f"{self.stage}: {name}"
            _set(model, progress=lambda _, done, total: progress(stage, done, total))
        return model

    def _keep(self, name: str, model: Any, proba: np.ndarray) -> None:
        if not self.keeps_models:
            self.checkpoints.put(name, {"proba": proba})
        elif self.checkpoints.folder is None or not hasattr(model, "to_state"):
            self._kept[name] = model, proba
        else:
            self.checkpoints.put_model(name, model, {"proba": proba})

    def _load(self, name: str) -> tuple[Any, np.ndarray] | None:
        if not self.keeps_models:
            bundle = self.checkpoints.get(name)
            return None if bundle is None else (None, bundle.arrays["proba"])
        found = self.checkpoints.get_model(name, self._templates[name])
        return None if found is None else (found[0], found[1]["proba"])


class _ModelTrack(_Track):
    """Rounds of which each trains one model that predicts all rows."""

    def __init__(self, task: Task, y: np.ndarray, held: np.ndarray, models: _Models) -> None:
        super().__init__(task, y, held, len(models.classes))
        self.models = models
        self.proba = np.empty((0, self.n_classes), dtype=np.float32)

    @abstractmethod
    def training(self, number: int, pseudo: PseudoLabels) -> _Training:
        """Return what a round trains, and on what."""

    def train(self, number: int, pseudo: PseudoLabels) -> None:
        self.proba = self.models.fit(self.training(number, pseudo))

    def held_proba(self) -> np.ndarray:
        return self.proba[self.held]

    def sample(
        self, labeled: np.ndarray, pseudo: PseudoLabels, weight: Any
    ) -> dict[str, np.ndarray]:
        """Return labeled rows, and pseudo-labeled ones of a weight or of one each, to train on."""
        return {
            "rows": np.concatenate([labeled, pseudo.rows]),
            "targets": np.concatenate([self.targets[labeled], pseudo.targets]),
            "mask": np.concatenate([self.known[labeled], pseudo.mask]),
            "weights": np.concatenate([np.ones(len(labeled)), np.full(len(pseudo.rows), weight)]),
        }


def _predict_classes(
    model: Any, X: np.ndarray, classes: np.ndarray, dtype: Any = np.float32
) -> np.ndarray:
    """Return probabilities with a column for every class, also for those not trained on."""
    proba = np.zeros((len(X), len(classes)), dtype=dtype)
    columns = np.arange(len(classes))
    # A fold may lack a class that has few labels.
    if len(model.classes_) != len(classes):
        columns = np.searchsorted(classes, model.classes_)
    for start in range(0, len(X), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        proba[rows, columns] = model.predict_proba(X[rows])
    return proba


def _seed_of(seed: int, name: str) -> int:
    """Return the seed of one training of a run."""
    return int(np.random.default_rng([seed, *name.encode()]).integers(2**31))


def _fit_weighted(
    model: Any, X: np.ndarray, targets: np.ndarray, weights: np.ndarray, classes: np.ndarray
) -> Any:
    """Train and return a classifier without soft targets: a row stands for each likely class."""
    rows, columns, shares = _split_targets(targets)
    if len(np.unique(columns)) < 2:
        # Where a class has one label, a fold may leave a single class, which most models refuse.
        model = DummyClassifier()
    with warnings.catch_warnings():
        # A penalized model that stopped a little early predicts the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        return model.fit(X[rows], classes[columns], sample_weight=weights[rows] * shares)


def _split_targets(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, classes and weights that stand for soft targets; those of a row sum to 1."""
    n_likely = min(_MAX_CLASSES, targets.shape[1])
    likely = np.argsort(-targets, axis=1, kind="stable")[:, :n_likely]
    kept = np.take_along_axis(targets, likely, axis=1)
    # The most probable class stays, however little it stands out.
    keep = kept >= _MIN_TARGET
    keep[:, 0] = True
    kept = np.where(keep, kept, 0.0)
    kept /= np.maximum(kept.sum(axis=1, keepdims=True), 1e-12)
    order = np.argsort(likely, axis=1)
    likely, keep, kept = (np.take_along_axis(part, order, axis=1) for part in (likely, keep, kept))
    rows = np.repeat(np.arange(len(targets)), keep.sum(axis=1))
    return rows, likely[keep], kept[keep]


def _set(model: Any, **values: Any) -> None:
    """Set the parameters that the model has."""
    has = model.get_params(deep=False)
    model.set_params(**{key: value for key, value in values.items() if key in has})
