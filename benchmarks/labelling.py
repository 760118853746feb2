"""What a person's answers are worth: the queue against random order, and pages of look-alikes.

    python benchmarks/labelling.py queue --dataset fashion-mnist   # answers to 80 % and to 85 %
    python benchmarks/labelling.py queue --dataset grocery --features NAME --weights FILE
    python benchmarks/labelling.py pages --dataset mnist           # 10,000 images, 300 answers
    python benchmarks/labelling.py slips                           # which of 5 % slips are found

A simulated person knows the true labels and slips in 2 of 100 answers; on a page of look-alikes
they overlook one exception in ten. The model is fitted again after every 20 answers, as behind the
page. In `slips`, 5 of 100 labels of random images are wrong, and the page lists the doubtful ones.
Accuracy is that on test images that nobody labels. Settings were fixed on seeds 101 to 103.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.data import ImageSet, labels_from_truth
from fewlabel.evaluate.outliers import SUSPICIOUS_BELOW, _rank_labels
from fewlabel.fit_settings import FitSettings
from fewlabel.labelling.learner import _Learner
from fewlabel.labelling.messages import LearnerSettings, Picks
from fewlabel.labelling.queue import _Queue
from fewlabel.labelling.store import Answer, _Store, open_store
from fewlabel.runs.bench import _split
from honesty import subset

RECORD = Path(__file__).parent / "results" / "labelling.jsonl"
POOL, N_TEST, EVERY = 10_000, 3_000, 20
SLIPS, OVERLOOKED = 0.02, 0.1
GOALS = (0.8, 0.85)
_MOST = 800
SLIPPED, N_SLIPS_AMONG, LOOKED_AT = 0.05, 2_000, 150


class Person:
    """Answers with the true label, and slips now and then."""

    def __init__(self, images: ImageSet, seed: int) -> None:
        labels = labels_from_truth(images)
        self.truth, self.classes = labels.names(), labels.classes
        self._rng = np.random.default_rng(seed)

    def say(self, image: int, slips: bool | None = None) -> Answer:
        """Answer one image."""
        label = self.truth[image]
        if self._rng.random() < SLIPS if slips is None else slips:
            label = str(self._rng.choice([name for name in self.classes if name != label]))
        return Answer(image, (label,))

    def confirm(self, images: tuple[int, ...], label: str) -> list[Answer]:
        """Confirm a page but for the exceptions that are seen."""
        draws = self._rng.random(len(images))
        seen = [
            draw >= SLIPS if self.truth[i] == label else draw < OVERLOOKED
            for i, draw in zip(images, draws, strict=True)
        ]
        return [Answer(i, (label,), origin="group") for i in np.array(images)[seen].tolist()]


class Desk:
    """Store, queue and learner of one session, without a page."""

    def __init__(self, args: argparse.Namespace, seed: int, folder: Path) -> None:
        pool, test = _split(args.dataset, seed)
        self.pool, self.test = subset(pool, POOL, seed), subset(test, N_TEST, seed)
        self.person = Person(self.pool, seed)
        fit = FitSettings(features=args.features, weights=args.weights, seed=seed, cache=True)
        self.learner = _Learner(self.pool, LearnerSettings(fit=fit))
        extractor = self.learner.features.extractor
        self.test_rows = extractor.transform(self.test)
        self.test_truth = np.array(labels_from_truth(self.test).names(), dtype=object)
        self.store: _Store = open_store(self.pool, folder / "labels.csv")
        self.queue = _Queue(self.store, seed)
        self.seconds: list[float] = []

    def answer(self, n: int) -> int:
        """Answer the next n images, one by one; return how many there were."""
        taken = self.store.lease("person", self.queue.wanted("person"), n)
        self.store.ask(taken, map(self.queue.purpose, taken))
        self.store.add([self.person.say(image) for image in taken])
        return len(taken)

    def refit(self, *, keep_random: bool = False) -> float:
        """Learn; return the accuracy on the test images."""
        found = self.learner.fit(self.store.labels())
        self.seconds.append(found.seconds)
        self.queue.update(found)
        if keep_random:
            self.queue.update(_without_picks(found))
        model = self.learner.result.model
        proba = model.calibrated(model.fitted.predict_proba(self.test_rows))
        return float((np.array(model.classes)[proba.argmax(axis=1)] == self.test_truth).mean())


def _without_picks(found: Any) -> Any:
    import dataclasses

    return dataclasses.replace(found, picks=Picks(np.array([], np.int64), ()))


def curve(desk: Desk, order: str) -> Iterator[tuple[int, float, float, float, float]]:
    """Give answers, accuracy on test images, and the live estimate, until the goals are reached."""
    if order == "queue":
        desk.queue.begin(desk.learner.first(desk.store.labels()))
    n, best = 0, 0.0
    while n < _MOST and best < GOALS[-1] + 0.005:
        # Twice the pace where the curve is flat already.
        n += desk.answer(EVERY if n < 300 else 2 * EVERY)
        best = desk.refit(keep_random=order == "random")
        live = desk.queue.round.accuracy
        yield n, best, live.value, live.low, live.high


def answers_to(points: list[tuple[int, ...]], goal: float) -> int | None:
    """Give the answers after which the accuracy stays at a goal, between two refits by a line."""
    values = np.array([p[1] for p in points])
    above = np.flatnonzero(values >= goal)
    if not len(above):
        return None
    i = int(above[0])
    if i == 0:
        return int(points[0][0])
    (n0, a0), (n1, a1) = points[i - 1][:2], points[i][:2]
    return round(n0 + (goal - a0) / (a1 - a0) * (n1 - n0))


def measure_queue(args: argparse.Namespace, seed: int, order: str) -> dict[str, Any]:
    """Label until the goals are reached."""
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(args, seed, Path(folder))
        points = [tuple(round(float(v), 4) for v in p) for p in curve(desk, order)]
        covered = [low <= value <= high for _, value, _, low, high in points]
        desk.store.close()
    return {
        "order": order,
        "answers_to": {str(goal): answers_to(points, goal) for goal in GOALS},
        "refit_seconds": round(float(np.median(desk.seconds)), 2),
        "interval_covers_test": f"{sum(covered)} of {len(covered)}",
        "points": points,
    }


def measure_pages(args: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Label everything with a number of answers; a page counts as one."""
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(args, seed, Path(folder))
        desk.queue.begin(desk.learner.first(desk.store.labels()))
        used = 0
        while used < args.answers:
            left = args.answers - used
            pages = list(desk.queue.groups())[: min(2 * EVERY, left)]
            if desk.queue.round is None or len(desk.store.current()) < 60 or not pages:
                n = desk.answer(min(EVERY, left))
                if not n:
                    break
                used += n
            else:
                for page in pages:
                    desk.store.add(desk.person.confirm(page.images, page.label))
                used += len(pages)
            desk.refit()
        current = desk.store.current()
        right = [labels == (desk.person.truth[i],) for i, labels in current.items()]
        desk.store.close()
    return {
        "order": "pages",
        "answers": used,
        "images": len(desk.pool),
        "labeled": len(current),
        "precision": round(float(np.mean(right)), 5),
        "refit_seconds": round(float(np.median(desk.seconds)), 2),
    }


def measure_slips(args: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Label random images, some of them wrong, and look at the most doubtful labels."""
    with tempfile.TemporaryDirectory() as folder:
        desk, rng = Desk(args, seed, Path(folder)), np.random.default_rng(seed)
        rows = rng.permutation(len(desk.pool))[:N_SLIPS_AMONG].tolist()
        slipped = set(rows[: round(SLIPPED * len(rows))])
        answers = [desk.person.say(i, slips=i in slipped) for i in rows]
        desk.store.ask(rows, ["random"] * len(rows))
        desk.store.add(answers)
        labels = desk.store.labels()
        found = desk.learner.fit(labels)
        desk.store.close()
    order, probability = _rank_labels(labels.task, labels.y[found.tested], found.tested_proba)
    right = [int(found.tested[i]) in slipped for i in order]
    return {
        "order": "slips",
        "answers": len(rows),
        "slipped": len(slipped),
        "looked_at": min(LOOKED_AT, len(order)),
        "found": sum(right[:LOOKED_AT]),
        "found_in_50": sum(right[:50]),
        "doubtful": len(order),
        "marked": int((probability[order] < SUSPICIOUS_BELOW).sum()),
        "refit_seconds": round(found.seconds, 2),
    }


def main() -> None:
    """Run, and add to the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("queue", "pages", "slips"))
    parser.add_argument("--dataset", default="fashion-mnist")
    parser.add_argument("--features", default="auto")
    parser.add_argument("--weights")
    parser.add_argument("--seeds", default="51,52,53")
    parser.add_argument("--answers", type=int, default=300)
    parser.add_argument("--out", type=Path, default=RECORD)
    args = parser.parse_args()
    for seed in map(int, args.seeds.split(",")):
        for order in ("queue", "random") if args.what == "queue" else (args.what,):
            start = time.perf_counter()
            if order == "pages":
                found = measure_pages(args, seed)
            elif order == "slips":
                found = measure_slips(args, seed)
            else:
                found = measure_queue(args, seed, order)
            row = {"dataset": args.dataset, "features": args.features, "seed": seed} | found
            row["seconds"] = round(time.perf_counter() - start, 1)
            with args.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps({k: v for k, v in row.items() if k != "points"}), flush=True)


if __name__ == "__main__":
    main()
