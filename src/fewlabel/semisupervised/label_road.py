"""The longer road where an image may have several labels: members teach a student."""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fewlabel.data import ImageSet, MultiLabel
from fewlabel.data.calibration import Scaling
from fewlabel.evaluate import Choice, calibrate_apart, choose_candidate
from fewlabel.graph import FewLabelClassifier
from fewlabel.nets import NetworkClassifier
from fewlabel.semisupervised import PseudoLabelLedger, TeacherStudent
from fewlabel.semisupervised.history import TrainingHistory
from fewlabel.semisupervised.kept_networks import KeptNetworks
from fewlabel.semisupervised.label_network import LabelNetwork, PixelReader, Progress
from fewlabel.semisupervised.network_inputs import SMALL_SIDE
from fewlabel.semisupervised.network_search import FEWEST_LABELS, RoadClosed

NAME = "self-training"
"""What the road is called where an image may have several labels."""

_MEMBERS = 3
_ROUNDS = 2
# Three members, and a student as long as two of them: alone, in two rounds, and at last with the
# labels that were held out.
_TRAININGS = _MEMBERS + 2 * (2 + _ROUNDS)
_LEAST_STEPS, _MOST_STEPS = 100, 1_500
_BATCH = 128
_TIMED_STEPS = 6
_PARTS = 5


@dataclass(frozen=True, eq=False)
class LabelRoad:
    """A student of several networks, and how it does on labels that it was not shown.

    Attributes
    ----------
    reader : PixelReader
        What reads images for the network.
    network : LabelNetwork
        The student with its calibration.
    proba : ndarray of shape (n, K)
        Its calibrated probabilities for all images.
    held : ndarray of shape (h,)
        Labelled images that were held out.
    held_proba : ndarray of shape (h, K)
        What a student said of them that was not shown their labels, calibrated.
    choice : Choice
        The candidates, the main job's among them, on those labels.
    seconds : float
        Time of the whole road.
    n_members : int
        Networks that taught the student.
    n_rounds : int
        Rounds of pseudo-labels that the network learned from; 0 is the labels alone.
    training : TrainingHistory
        Curves and rounds.
    ledger : PseudoLabelLedger
        Labels that were believed present, with their round and perhaps revocation.
    notes : list of str
        What the user must know.
    """

    reader: PixelReader
    network: LabelNetwork
    proba: np.ndarray
    held: np.ndarray
    held_proba: np.ndarray
    choice: Choice
    seconds: float
    n_members: int
    n_rounds: int
    training: TrainingHistory
    ledger: PseudoLabelLedger
    notes: list[str]

    @property
    def helped(self) -> bool:
        """Whether the student does at least as well as the main job."""
        return self.choice.name == NAME


def follow_label_road(
    images: ImageSet,
    Y: np.ndarray,
    main: FewLabelClassifier,
    *,
    groups: np.ndarray,
    time_budget: float,
    asked: bool,
    seed: int = 0,
    device: str = "auto",
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> LabelRoad | RoadClosed:
    """Train networks on labelled and unlabelled images, and say how good they are.

    Parameters
    ----------
    images : ImageSet
        All images.
    Y : ndarray of shape (n, K)
        1 present, 0 absent, -1 not known.
    main : FewLabelClassifier
        The main job's classifier, fitted on the same labels.
    groups : ndarray of shape (n,)
        The same number for exact duplicates.
    time_budget : float
        Seconds to stay within, as far as the first steps let it be foreseen.
    asked : bool
        Whether networks are wanted whatever the time.
    seed : int
        Seed of every random choice.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to train.
    checkpoint : Path, optional
        Folder that keeps finished networks, to go on from after an interruption.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    LabelRoad or RoadClosed
        The latter where there are too few labels to hold some out, or too little time.
    """
    start = time.perf_counter()
    folds = main.folds_
    if folds is None or len(folds.labeled) < FEWEST_LABELS:
        return RoadClosed(
            f"Networks were not tried: fewer than {FEWEST_LABELS} labels are too few to hold some "
            "out and see whether they help."
        )
    reader = _reader_for(images)
    pixels = reader.transform(images, progress=progress)
    names = main.classes_.tolist()
    template = NetworkClassifier(
        "resnet",
        task=MultiLabel(),
        labels=names,
        n_epochs=1,
        batch_size=_BATCH,
        augment="mild",
        device=device,
    )
    about = [images.digest(), Y.tolist(), seed, str(template.get_params())]
    kept = KeptNetworks(checkpoint, about)
    n_steps = kept.steps()
    if n_steps is None:
        each = _seconds_per_step(template, pixels, len(names))
        n_steps = min(int(time_budget / (_TRAININGS * each)), _MOST_STEPS)
        if n_steps < _LEAST_STEPS and not asked:
            minutes = math.ceil(_LEAST_STEPS * _TRAININGS * each / 60) + 1
            return RoadClosed(
                "Networks were not tried: on this machine they need more time. Give "
                f"--time {minutes}m or more."
            )
        n_steps = max(n_steps, _LEAST_STEPS)
        kept.keep_steps(n_steps)
    teacher = TeacherStudent(
        template.set_params(min_steps=n_steps),
        NetworkClassifier(**template.get_params() | {"min_steps": 2 * n_steps}),
        n_members=_MEMBERS,
        max_rounds=_ROUNDS,
        checkpoint=None if checkpoint is None else checkpoint / "members",
        progress=progress,
        device=device,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* cannot learn it", UserWarning)
        teacher.fit(pixels, _once(Y, groups))
    return _judge(teacher, reader, pixels, Y, main, start)


def _reader_for(images: ImageSet) -> PixelReader:
    native = images.native_shape
    small = native is not None and max(native[:2]) <= SMALL_SIDE
    size = native[:2] if native is not None and small else (SMALL_SIDE, SMALL_SIDE)
    return PixelReader(size, 1 if images.is_gray else 3)


def _once(Y: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Gather the labels of exact copies at the first: no other may be held out, or be known."""
    labeled = np.flatnonzero((Y >= 0).any(axis=1))
    _, first, group = np.unique(groups[labeled], return_index=True, return_inverse=True)
    keepers = labeled[first][group]
    once = np.full_like(Y, -1)
    # From the last one on: where copies contradict each other, the first is believed.
    for row, keeper in zip(labeled[::-1], keepers[::-1], strict=True):
        once[keeper] = np.where(Y[row] >= 0, Y[row], once[keeper])
    return once


def _seconds_per_step(template: NetworkClassifier, pixels: np.ndarray, n_labels: int) -> float:
    moments: list[float] = []
    settings = template.get_params() | {
        "min_steps": _TIMED_STEPS,
        "labels": None,
        "random_state": 0,
        "progress": lambda stage, done, total: moments.append(time.perf_counter()),
    }
    some = pixels[: _BATCH * _TIMED_STEPS]
    # Uniform targets: no label is needed to measure time.
    start = time.perf_counter()
    NetworkClassifier(**settings).fit_soft(some, np.full((len(some), n_labels), 0.5))
    whole = (time.perf_counter() - start) / _TIMED_STEPS
    passed = np.diff(moments)
    return float(np.median(passed)) if len(passed) >= _TIMED_STEPS // 2 else whole


def _judge(
    teacher: TeacherStudent,
    reader: PixelReader,
    pixels: np.ndarray,
    Y: np.ndarray,
    main: FewLabelClassifier,
    start: float,
) -> LabelRoad:
    """Compare the student with the main job on labels that neither was shown."""
    assert main.folds_ is not None
    held = teacher.val_rows_
    position = np.searchsorted(main.folds_.labeled, held)
    candidates = {
        NAME: teacher.val_proba_,
        "supervised": main.supervised_oof_proba_[position],
        main.method_: main.oof_proba_[position],
    }
    parts = np.arange(len(held)) % _PARTS
    task, unseen = main.task_, main.folds_.unseen[position]
    choice = choose_candidate(task, Y[held], candidates, prefer=(NAME,), unseen=unseen, fold=parts)
    scaling = Scaling.fit(Y[held], teacher.val_proba_)
    network = LabelNetwork(teacher.student_, scaling)
    proba = network.predict_proba(pixels)
    proba[Y >= 0] = Y[Y >= 0]
    return LabelRoad(
        reader=reader,
        network=network,
        proba=proba,
        held=held,
        held_proba=calibrate_apart(task, Y[held], teacher.val_proba_, parts),
        choice=choice,
        seconds=time.perf_counter() - start,
        n_members=_MEMBERS,
        n_rounds=teacher.n_rounds_,
        training=_log(teacher),
        ledger=teacher.ledger_,
        # What labels cannot be learnt, the main job has said already.
        notes=[note for note in teacher.notes_ if note.startswith(("In round", "The ", "Round"))],
    )


def _log(teacher: TeacherStudent) -> TrainingHistory:
    log = TrainingHistory(classes=tuple(str(name) for name in teacher.classes_.tolist()))
    log.add_history("student", getattr(teacher.student_, "history_", []))
    for record in teacher.rounds_:
        values = {k: v for k, v in record.to_dict().items() if k not in ("round", "teacher")}
        log.add_round("student", record.round, **values, kept=record.round == teacher.n_rounds_)
    return log
