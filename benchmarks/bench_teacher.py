"""What each part of teacher and student is worth, on images of the study combo.

    python benchmarks/bench_teacher.py --labeled 1000 --unlabeled 30000 --seeds 101 102 103

Glyphs are of the training parts alone, dealt anew by the seed: half of them for the labels, a third
for the unlabeled images, a sixth to test on. No table of the study is made of these images. Every
training is of `fewlabel.TeacherStudent` with the study's ``pair`` network; ``alone`` is what that
network has with the labels alone and as many steps as the teacher. Each variant is ``all`` but for
one thing, so that the difference is what that thing is worth. Networks that variants share are
trained once. Records are added to the file as they are made.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, ClassVar

import joblib
import numpy as np

from fewlabel import NetworkClassifier, TeacherStudent
from fewlabel.nets import Augmentation
from fewlabel_experiments.combo.changed_halves import ChangedHalves
from fewlabel_experiments.combo.generator import make_combo, settings_of
from fewlabel_experiments.combo.glyphs import (
    LABELS,
    LETTER_SETS,
    GlyphSplits,
    letters_at_hand,
    load_glyphs,
)
from fewlabel_experiments.combo.preprocess import preprocess_images
from fewlabel_experiments.combo.recipes import ALL_STEPS, HALVES
from fewlabel_experiments.combo.session import NOISY_STUDENT, ONE_OF_EACH
from fewlabel_experiments.combo.settings import NOISES
from fewlabel_experiments.protocol import Settings
from fewlabel_experiments.registry import find_study

RESULT = Path(__file__).parent / "results" / "teacher.jsonl"
WIDTHS = (16, 32, 64, 128)
LARGER = (24, 48, 96, 192)
STRONGER = ChangedHalves(
    Augmentation(rotate=20.0, scale=0.2, shear=0.25, shift=0.12, cutout=0.4, fill="zero")
)
STUDENT = ("max_rounds", "passes", "noise", "widths")
BASE: dict[str, Any] = {
    **NOISY_STUDENT,
    "n_members": 1,
    "max_rounds": None,
    "passes": None,
    "noise": HALVES,
    "widths": WIDTHS,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "all": {},
    "hard labels": {"soft": False},
    "not balanced": {"balance": False},
    "as many steps as the teacher": {"passes": 1},
    "no noise": {"noise": None},
    "stronger changes": {"noise": STRONGER},
    "a larger student": {"widths": LARGER},
    "labels as often as they are": {"labeled_fraction": 0.001},
    "three members": {"n_members": 3},
    "three members, bootstrap samples": {"n_members": 3, "bagging": True},
    "only what is sure": {"positive": 0.9, "negative": 0.1, "agreement": 0.6},
    "two rounds": {"max_rounds": 2},
    "three members, a larger student": {"n_members": 3, "widths": LARGER},
    "three members, two rounds": {"n_members": 3, "max_rounds": 2},
    "three members, stronger changes": {"n_members": 3, "noise": STRONGER},
    "three members, two rounds, a larger student, stronger changes": {
        "n_members": 3,
        "max_rounds": 2,
        "widths": LARGER,
        "noise": STRONGER,
    },
}


def glyphs_to_tune_on(seed: int, letters: str | None = None) -> GlyphSplits:
    """Deal the glyphs of the training parts alone."""
    dealt = load_glyphs(seed, letters)
    rng = np.random.default_rng([seed, 29])
    parts = []
    for kind in dealt["unlabeled"]:
        order = rng.permutation(len(kind.labels))
        parts.append((kind.take(order[len(order) // 3 :]), kind.take(order[: len(order) // 3])))
    (digits, digits_test), (letters_, letters_test) = parts
    tests = digits_test, letters_test
    return {"labeled": dealt["labeled"], "unlabeled": (digits, letters_), "test": tests}


class Remembered(NetworkClassifier):
    """A network that is trained once on the same rows by the same settings, however often asked."""

    kept: ClassVar[dict[str, dict[str, Any]]] = {}

    def fit_soft(self, X: Any, targets: Any, *more: Any, **named: Any) -> Any:
        """Train, or take what a training of the same has left."""
        settings = {k: v for k, v in self.get_params(deep=False).items() if k != "progress"}
        key = joblib.hash([X, targets, more, named, repr(settings)])
        if key not in self.kept:
            self.kept[key] = vars(super().fit_soft(X, targets, *more, **named)).copy()
        vars(self).update(self.kept[key])
        return self


def network(asked: argparse.Namespace, widths: Any, noise: ChangedHalves | None = HALVES) -> Any:
    """Make the network of the study that reads halves, not trained yet."""
    options = find_study("combo").config(Settings())["networks"]["pair"] | {"widths": widths}
    options.pop("architecture")
    return Remembered(
        "pair",
        options=options,
        labels=LABELS,
        task=ONE_OF_EACH,
        n_epochs=1,
        min_steps=asked.steps,
        batch_size=32,
        learning_rate=6e-3,
        augment=noise,
        flip=False,
    )


class Bench:
    """The images of a seed, and what is trained on them."""

    def __init__(self, seed: int, asked: argparse.Namespace) -> None:
        sizes = asked.labeled, asked.unlabeled, asked.test
        glyphs = glyphs_to_tune_on(seed, asked.letters)
        made = make_combo(
            *sizes, seed=seed, settings=settings_of(asked.letters, None, asked.noise), glyphs=glyphs
        )
        ready = {k: preprocess_images(v.images, ALL_STEPS).images for k, v in vars(made).items()}
        unknown = np.full((asked.unlabeled, len(LABELS)), -1)
        self.X = np.concatenate([ready["labeled"], ready["unlabeled"]])
        self.y = np.concatenate([made.labeled.targets, unknown])
        self.test, self.truth = ready["test"], made.test.targets
        self.pool_truth = made.unlabeled.targets
        self.seed, self.asked = seed, asked

    def score(self, proba: np.ndarray, truth: np.ndarray) -> float:
        """Give the exact match, in percent."""
        return round(100 * float((ONE_OF_EACH.predict(proba) == truth).all(axis=1).mean()), 2)

    def run(self, variant: str) -> dict[str, Any]:
        """Train one variant."""
        asked, options = self.asked, BASE | VARIANTS[variant]
        rounds, passes, noise, widths = (options.pop(k) for k in STUDENT)
        start, processor = time.perf_counter(), time.process_time()
        teacher = network(asked, WIDTHS)
        student = network(asked, widths, noise).set_params(n_epochs=passes or asked.passes)
        shared = {"val_fraction": 0.0, "random_state": self.seed, **options}
        alone = TeacherStudent(teacher, teacher, max_rounds=0, **shared).fit(self.X, self.y)
        model = TeacherStudent(teacher, student, max_rounds=rounds or asked.rounds, **shared).fit(
            self.X, self.y
        )
        pool = self.X[asked.labeled :]
        return {
            "seed": self.seed,
            **{
                k: getattr(asked, k)
                for k in ("labeled", "unlabeled", "steps", "passes", "rounds", "letters", "noise")
            },
            "variant": variant,
            "alone": self.score(alone.predict_proba(self.test), self.truth),
            "teacher": self.score(model.ensemble_proba(self.test), self.truth),
            "teacher_on_unlabeled": self.score(model.ensemble_proba(pool), self.pool_truth),
            "student": self.score(model.predict_proba(self.test), self.truth),
            "accepted": model.rounds_[-1].n_accepted,
            "seconds": round(time.perf_counter() - start, 1),
            "processor_seconds": round(time.process_time() - processor, 1),
        }


def main() -> None:
    """Measure and add to the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labeled", type=int, default=1_000)
    parser.add_argument("--unlabeled", type=int, default=30_000)
    parser.add_argument("--test", type=int, default=3_000)
    parser.add_argument("--steps", type=int, default=2_250)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--passes", type=int, default=6, help="of a student over what it learns from"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102, 103])
    parser.add_argument("--letters", choices=LETTER_SETS)
    parser.add_argument("--noise", choices=NOISES, default="standard")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    asked.letters = asked.letters or letters_at_hand()
    for seed in asked.seeds:
        bench = Bench(seed, asked)
        Remembered.kept.clear()
        for variant in asked.variants:
            record = json.dumps(bench.run(variant))
            print(record, flush=True)
            with asked.out.open("a", encoding="utf-8") as file:
                file.write(record + "\n")


if __name__ == "__main__":
    main()
