"""What `TeacherStudent` is given: parameters, rows, labels, and the models to train."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import validate_data

from fewlabel.data.checks import check_table, warn_of_unlearnable
from fewlabel.data.task import MultiLabel, task_of
from fewlabel.errors import UsageError
from fewlabel.evaluate import label_folds
from fewlabel.nets import NetworkClassifier
from fewlabel.semisupervised.inputs import are_images, check_rows_and_labels, demand
from fewlabel.semisupervised.soft_labels import AUTO
from fewlabel.semisupervised.teacher_records import KnownLabels

SAMPLES = ("bootstrap", "all")
"""What a student is trained on: a bootstrap sample of labels and pseudo-labels, or all."""

ME = "TeacherStudent"
"""Name of the estimator, for messages."""

_MEMBERS = 5
_MOST_HELD = 2_000


def check_parameters(model: Any) -> None:
    """Refuse parameters out of range.

    Parameters
    ----------
    model : TeacherStudent
        The estimator.

    Raises
    ------
    UsageError
        If one is; it is named.
    """
    for name in ("positive", "negative"):
        value = getattr(model, name)
        if isinstance(value, str):
            demand(value == AUTO, name, "'auto' or numbers in (0, 1)", model)
            continue
        shares = np.asarray(value, dtype=np.float64)
        fine = bool(((shares > 0) & (shares < 1)).all()) and shares.ndim < 2
        demand(fine, name, "'auto' or numbers in (0, 1)", model)
    for name in ("precision", "agreement", "pseudo_weight", "labeled_share"):
        value = getattr(model, name)
        fine = isinstance(value, numbers.Real) and 0 < float(value) <= 1
        demand(fine, name, "a float in (0, 1]", model)
    demand(model.labeled_share < 1, "labeled_share", "below 1", model)
    share = model.held_out_share
    fine = isinstance(share, numbers.Real) and 0 <= float(share) < 1
    demand(fine, "held_out_share", "a float in [0, 1)", model)
    demand(model.sample in SAMPLES, "sample", f"one of {', '.join(SAMPLES)}", model)
    for name, least in (("max_rounds", 0), ("n_members", 1)):
        value = getattr(model, name)
        fine = isinstance(value, numbers.Integral) and int(value) >= least
        fine = fine or (value is None and name == "n_members")
        demand(fine, name, f"an int of at least {least}", model)


def check_rows_or_table(model: Any, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Check rows or images, and one label for each or a table of several.

    Parameters
    ----------
    model : TeacherStudent
        Not fitted.
    X : array-like of shape (n, d), or uint8 images
        Rows.
    y : array-like of shape (n,) or (n, L)
        Labels.

    Returns
    -------
    X : ndarray
        Rows as float32, or the images.
    y : ndarray of shape (n,) or (n, L)
        Labels.

    Raises
    ------
    UsageError
        If there are more or fewer labels than images, or a table holds other numbers than 1, 0
        and -1.
    """
    shape = () if y is None else np.asarray(y).shape
    listed = model.members if isinstance(model.members, list) else [model.members]
    takes_tables = bool(listed) and isinstance(getattr(listed[0], "task", None), MultiLabel)
    # A single column is one class a row for whoever takes classes, and one label for a table.
    if len(shape) != 2 or (shape[1] < 2 and not takes_tables):
        return check_rows_and_labels(model, X, y)
    X = X if are_images(X) else validate_data(model, X, dtype=np.float32)
    return X, check_table(y, len(X), ME)


def make_templates(model: Any, X: np.ndarray, *, is_multilabel: bool) -> tuple[list[Any], Any]:
    """Say how each member and the student are made.

    Parameters
    ----------
    model : TeacherStudent
        The estimator, with ``members``, ``student``, ``n_members`` and ``device``.
    X : ndarray
        Rows or images, which the default network depends on.
    is_multilabel : bool
        Whether a row may have several labels.

    Returns
    -------
    members : list of estimator
        One for each member, not fitted.
    student : estimator
        Not fitted.

    Raises
    ------
    UsageError
        If there is no member, or one that does not take such labels.
    """
    given = model.members
    if given is None:
        given = _default(X, model.device)
    listed = list(given) if isinstance(given, Sequence) else [given]
    if not listed:
        raise UsageError(f"The 'members' parameter of {ME} must list at least one estimator.")
    n_members = model.n_members
    if n_members is None:
        n_members = len(listed) if len(listed) > 1 else _MEMBERS
    members = [clone(listed[k % len(listed)]) for k in range(n_members)]
    student = clone(listed[0] if model.student is None else model.student)
    for each in (*members, student) if is_multilabel else ():
        if not isinstance(each, NetworkClassifier):
            raise UsageError(
                f"{ME} was given {type(each).__name__} and a table of several labels: give a "
                "NetworkClassifier."
            )
        each.set_params(task=each.task or MultiLabel())
    return members, student


def known_labels(y: np.ndarray, student: Any) -> tuple[np.ndarray, KnownLabels, list[str]]:
    """Bring labels of either kind to one form.

    Parameters
    ----------
    y : ndarray of shape (n,) or (n, L)
        Classes, -1 is unlabelled; or a table of 1, 0 and -1.
    student : estimator
        Names several labels, and says which of them exclude each other.

    Returns
    -------
    classes : ndarray of shape (K,)
        Classes, or names of the labels.
    labels : KnownLabels
        What is known of each row.
    notes : list of str
        What the user must know.

    Raises
    ------
    UsageError
        If nothing is known, or names and columns differ.

    Warns
    -----
    UserWarning
        If one of several labels is always absent or never known; it is named.
    """
    task = getattr(student, "task", None) or task_of(y)
    classes, codes = task.encode(y, len(y), ME)
    targets, known = task.evidence(codes, len(classes))
    if y.ndim == 1:
        return classes, KnownLabels(targets, known, False, task), []
    names = np.arange(y.shape[1]) if student.labels is None else np.asarray(student.labels)
    if len(names) != y.shape[1]:
        raise UsageError(
            f"The student's 'labels' must name {y.shape[1]} labels, one a column. "
            f"Got {len(names)} instead."
        )
    notes = task.unlearnable(codes, names.tolist())
    warn_of_unlearnable(notes, ME, stacklevel=4)
    bare = int((y == 0).all(axis=1).sum())
    if bare:
        notes.append(
            f"{bare:,} labelled {'row has' if bare == 1 else 'rows have'} none of the labels: "
            "they teach absence. Where that is not known, write -1."
        )
    return names, KnownLabels(targets, known, True, task), notes


def hold_out(labels: KnownLabels, share: float, rng: np.random.Generator) -> np.ndarray:
    """Choose labelled rows to measure rounds on, of all classes alike.

    Parameters
    ----------
    labels : KnownLabels
        The labels.
    share : float
        How many of the labelled rows, at most 2,000 rows.
    rng : Generator
        For what is drawn.

    Returns
    -------
    ndarray of shape (h,), dtype int64
        Rows in rising order; none where too few are labelled.
    """
    labeled = labels.labeled
    n = min(round(share * len(labeled)), _MOST_HELD, len(labeled) - 1)
    if n < 1:
        return np.empty(0, dtype=np.int64)
    if labels.is_multilabel:
        return np.sort(rng.choice(labeled, n, replace=False))
    known = labels.known.any(axis=1)
    codes = np.where(known, labels.targets.argmax(axis=1), -1)
    folds = label_folds(task_of(codes), codes, None, max(2, round(len(labeled) / n)), rng)
    return np.setdiff1d(folds.folds[0][1], folds.labeled[folds.unseen])


def _default(X: np.ndarray, device: str) -> Any:
    if X.ndim == 2:
        return NetworkClassifier("mlp", device=device)
    return NetworkClassifier("cnn", min_steps=400, augment="mild", device=device)
