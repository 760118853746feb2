"""Images, networks and teachers that the rows of one seed share."""

from __future__ import annotations

import math
import shutil
import tempfile
import weakref
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.data import MultiLabel
from fewlabel.nets import ARCHITECTURES, NetworkClassifier
from fewlabel.semisupervised import TeacherStudent

from ..protocol import Progress, Session, Settings
from .augment import changed_copies
from .competition import CompetitionData, load_competition
from .generator import make_combo, settings_of
from .glyphs import LABELS
from .own_cnn import strided_cnn
from .pair import pair_network
from .preprocess import preprocess_images
from .recipes import Recipe
from .task import GroupedLabels

ARCHITECTURES |= {"pair": pair_network, "strided-cnn": strided_cnn}

GENERATED = "generated"
ONE_OF_EACH = GroupedLabels(((0, 10), (10, 36)))
"""One digit and one letter."""

# Noisy Student (Xie et al. 2020): soft labels say themselves how sure they are, and every label
# counts alike.
NOISY_STUDENT = {
    "bagging": False,
    "balance": True,
    "positive": 1e-6,
    "negative": 1 - 1e-6,
    "agreement": 1e-6,
}

_HELD = 0.2


@dataclass(frozen=True, eq=False)
class Data:
    """Images and targets of one seed."""

    labeled: np.ndarray  # (n, 56, 56): images
    targets: np.ndarray  # (n, 36): 1 where a label is on
    unlabeled: np.ndarray  # (n, 56, 56): images
    test: np.ndarray
    test_targets: np.ndarray  # (n, 36): 1 where a label is on
    # (t, 56, 56): images of which nobody here knows the labels, for a submission
    unseen: np.ndarray = field(default_factory=lambda: np.zeros((0, 56, 56), np.uint8))


class ComboSession(Session):
    """Data and models of one seed."""

    def __init__(
        self, config: dict[str, Any], settings: Settings, seed: int, progress: Progress
    ) -> None:
        super().__init__(config, settings, seed, progress)
        self.data = load_data(config, seed)
        self.steps: dict[str, int] = {}  # of each training, by its stage
        # Models of a teacher are kept here between the rows that use them.
        if settings.unfinished is None:
            self._folder = Path(tempfile.mkdtemp(prefix="fewlabel-combo-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        else:
            self._folder = settings.unfinished
            self._folder.mkdir(exist_ok=True)

    def images(self, kind: str, recipe: Recipe) -> np.ndarray:
        """Return images as a recipe prepares them."""
        images: np.ndarray = getattr(self.data, kind)
        if recipe.preprocess is None:
            return images
        name = f"{kind} images, {recipe.preprocess}"
        steps = recipe.preprocess
        return self.work.get(name, lambda: preprocess_images(images, steps).images)

    def training_set(self, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
        """Return the images with labels, and their changed copies."""
        n = self.config["few"] if recipe.few else len(self.data.targets)
        images, targets = self.images("labeled", recipe)[:n], self.data.targets[:n]
        if recipe.copies is None:
            return images, targets
        rng = np.random.default_rng([self.seed, 17])
        copies, rows = changed_copies(images, recipe.copies, rng)
        return np.concatenate([images, copies]), np.concatenate([targets, targets[rows]])

    def network(self, name: str, recipe: Recipe) -> NetworkClassifier:
        """Make a network that is not trained yet."""
        config = self.config
        options = dict(config["networks"][name])
        batch, rate = (options.pop(key, config[key]) for key in ("batch", "rate"))
        passes = config["few_passes"] if recipe.few else config["passes"]
        seen = options.pop("passes", passes) * config["n_labeled"]
        seen = min(seen, options.pop("most_seen", config["most_seen"]))
        return NetworkClassifier(
            options.pop("architecture"),
            options=options,
            labels=LABELS,
            task=ONE_OF_EACH if recipe.structure else MultiLabel(),
            n_epochs=1,
            min_steps=max(1, round(seen / batch)),
            batch_size=batch,
            learning_rate=rate,
            augment=recipe.changes,
            flip=False,
            device=config["device"],
            random_state=self.seed,
        )

    def report(self, stage: str, done: int, total: int) -> None:
        """Report progress, and note how many steps a training takes."""
        self.steps[stage] = total
        self.progress(stage, done, total)

    def alone(self, recipe: Recipe, part: float = 1.0) -> NetworkClassifier:
        """Train one network on the given labels; or with a part of the steps."""
        images, targets = self.training_set(recipe)
        network = self.network(recipe.network, recipe)
        network.set_params(
            progress=self.report,
            checkpoint=self._folder / "alone.safetensors",
            min_steps=max(1, round(part * network.min_steps)),
        )
        return network.fit(images, targets)

    def taught(self, name: str, recipe: Recipe, rounds: int) -> TeacherStudent:
        """Train the members of an ensemble, and let them teach students.

        Members and students that an earlier row has trained are not trained again.
        """
        config = self.config
        images, targets = self.training_set(recipe)
        pool = self.images("unlabeled", recipe)
        unknown = np.full((len(pool), targets.shape[1]), -1)
        student = self.network(recipe.network, recipe)
        accepts = {"precision": config["precision"], "agreement": config["agreement"]}
        if recipe.noisy:
            accepts = NOISY_STUDENT
            student.set_params(n_epochs=self._passes(student, len(images), len(pool)))
        model = TeacherStudent(
            [self.network(member, recipe) for member in recipe.members],
            student,
            **accepts,
            max_rounds=rounds,
            # The number of rounds is fixed: no label is spent on choosing it.
            val_fraction=0.0,
            checkpoint=self._folder / name,
            progress=self.report,
            random_state=self.seed,
        )
        return model.fit(np.concatenate([images, pool]), np.concatenate([targets, unknown]))

    def _passes(self, student: NetworkClassifier, n_labeled: int, n_unlabeled: int) -> int:
        """Return the passes of as many steps as the teacher's and those for unlabeled images."""
        seen = student.min_steps * student.batch_size + self.config["student_passes"] * n_unlabeled
        # A quarter of what a student learns from are labels, some of them several times.
        return math.ceil(seen / (n_unlabeled + max(n_labeled, n_unlabeled // 3)))


def load_data(config: dict[str, Any], seed: int) -> Data:
    """Make or read the images of a seed."""
    sizes = config["n_labeled"], config["n_unlabeled"], config["n_test"]
    if config["data"] == GENERATED:
        look = settings_of(config["letters"], config["case"], config["noise"])
        made = make_combo(*sizes, seed=seed, settings=look)
        return Data(
            made.labeled.images,
            made.labeled.targets,
            made.unlabeled.images,
            made.test.images,
            made.test.targets,
        )
    read = competition(config["data"])
    order = np.random.default_rng([seed, 19]).permutation(len(read.images))
    n_held = held_out(len(read.images), config)
    held, kept = order[:n_held], order[n_held:][: sizes[0]]
    return Data(
        read.images[kept],
        read.targets[kept],
        read.unlabeled[: sizes[1]],
        read.images[held],
        read.targets[held],
        read.test,
    )


def held_out(n: int, config: dict[str, Any]) -> int:
    """Return how many of the competition's labeled images are held out to test on."""
    return min(round(_HELD * n), int(config["n_test"]))


@lru_cache(maxsize=1)
def competition(folder: str) -> CompetitionData:
    """Read the competition's files once."""
    return load_competition(folder)
