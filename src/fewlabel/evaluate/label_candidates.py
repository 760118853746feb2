"""The choice between methods where an image may have several labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fewlabel.errors import UsageError
from fewlabel.evaluate.candidates import CandidateScore, Choice, paired_error, reason_for
from fewlabel.evaluate.label_scaling import fit_scaling, log_odds, scale_apart
from fewlabel.evaluate.multilabel import check_scores, exactly_right


def choose_label_candidate(
    candidates: Mapping[str, Any],
    y_true: Any,
    *,
    prefer: Sequence[str] = (),
    n_se: float = 1.0,
    unseen: Any = None,
    parts: Any = None,
) -> Choice:
    """Choose the method with the best cross-fitted predictions of several labels.

    The rule is that of `choose_candidate`, with the exact match in place of the accuracy, and
    with the log loss of the labels of an image added up. Each candidate is first scaled, since the
    winner will be.

    Parameters
    ----------
    candidates : mapping of str to array-like of shape (n_labeled, K)
        Cross-fitted probabilities of the labels by name, at least one.
    y_true : array-like of shape (n_labeled, K)
        1 present, 0 absent, -1 not known.
    prefer : sequence of str
        Names in the order of preference among the nearly equal.
    n_se : float
        How many standard errors still count as nearly equal.
    unseen : array-like of shape (n_labeled,), bool, optional
        Images to leave out, which no candidate could predict. They are used all the same where
        no other is left.
    parts : array-like of shape (n_labeled,), int, optional
        Number of each image's part, such as its fold: each part is scaled by what the others
        say, as the winner is when it is tested. By default all are scaled on the predictions
        that are compared, which flatters all of them a little.

    Returns
    -------
    Choice
        The name, and a table with the reason for each candidate; its accuracy is the exact
        match, its temperature 1 over the scale.

    Raises
    ------
    UsageError
        If there is no candidate, or the tables do not fit together.

    Examples
    --------
    >>> truth = np.array([[1, 0], [0, 1], [1, 1]])
    >>> graph = np.where(truth == 1, 0.9, 0.1)
    >>> choice = choose_label_candidate({"baseline": np.full((3, 2), 0.4), "graph": graph}, truth)
    >>> choice.name, choice.table[1].accuracy
    ('graph', 1.0)
    """
    if not candidates:
        raise UsageError("The 'candidates' parameter must name at least one candidate.")
    kept = np.ones(len(y_true), bool) if unseen is None else ~np.asarray(unseen, dtype=bool)
    if not kept.any():
        kept[:] = True
    accuracy, loss, scale, right = {}, {}, {}, {}
    for name, given in candidates.items():
        truth, proba = check_scores(np.asarray(y_true)[kept], np.asarray(given)[kept])
        scaling = fit_scaling(truth, proba)
        scaled = scaling.apply(given) if parts is None else scale_apart(y_true, given, parts)
        shares = scaled[kept]
        right[name] = exactly_right(truth, (shares >= 0.5).astype(int)).astype(float)
        odds = log_odds(shares)
        losses = (np.logaddexp(0, odds) - (truth == 1) * odds) * (truth >= 0)
        accuracy[name], loss[name] = float(right[name].mean()), float(losses.sum(axis=1).mean())
        scale[name] = scaling.scale
    best = min(right, key=lambda name: (-accuracy[name], loss[name]))
    weights = np.ones(int(kept.sum()))
    error = {name: paired_error(right[best] - found, weights) for name, found in right.items()}
    near = [n for n in right if accuracy[best] - accuracy[n] <= n_se * error[n] + 1e-12]
    rank = {name: i for i, name in reversed(list(enumerate(prefer)))}
    first = min(rank.get(name, len(prefer)) for name in near)
    level = [name for name in near if rank.get(name, len(prefer)) == first]
    chosen = min(level, key=lambda name: loss[name])
    table = tuple(
        CandidateScore(
            name,
            accuracy[name],
            error[name],
            loss[name],
            1 / scale[name],
            name == chosen,
            reason_for(name, chosen, best, near, name in prefer),
        )
        for name in right
    )
    return Choice(name=chosen, table=table, n_se=n_se)
