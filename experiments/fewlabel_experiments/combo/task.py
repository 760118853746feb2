"""The task of images with one label of each of several groups, such as a digit and a letter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor

from fewlabel.data import MultiLabel
from fewlabel.errors import UsageError
from fewlabel.nets.losses import Loss, losses_of


class GroupedLabels(MultiLabel):
    """Every image has exactly one label of each group of columns (start, stop).

    Examples
    --------
    >>> task = GroupedLabels(((0, 2), (2, 4)))
    >>> task.predict(np.array([[0.4, 0.3, 0.1, 0.2]])).tolist()
    [[1, 0, 0, 1]]
    """

    name = "grouped labels"

    def __init__(self, groups: Sequence[tuple[int, int]]) -> None:
        self.groups = tuple((int(start), int(stop)) for start, stop in groups)
        starts = [0, *(stop for _, stop in self.groups)]
        if [start for start, _ in self.groups] != starts[:-1] or any(
            stop - start < 2 for start, stop in self.groups
        ):
            raise UsageError(
                "The 'groups' of GroupedLabels must be pairs (start, stop) of columns from 0 on, "
                f"each of two labels or more, one after the other. Got {groups!r} instead."
            )

    def __repr__(self) -> str:
        return f"GroupedLabels({self.groups})"

    def encode(self, y: Any, n: int, who: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the columns and the table, in which no row has other than one of a group."""
        classes, table = super().encode(y, n, who)
        if len(classes) != self.groups[-1][1]:
            n = self.groups[-1][1]
            raise UsageError(f"{self} is for {n} columns of labels. Got {len(classes)} instead.")
        for (start, stop), part in self._parts(table):
            present = (part == 1).sum(axis=1)
            wrong = np.flatnonzero((present > 1) | (part == 0).all(axis=1))
            if len(wrong):
                raise UsageError(
                    f"Every image has exactly one of the labels {start} to {stop - 1}, but row "
                    f"{wrong[0]} has {present[wrong[0]]} ({len(wrong):,} such rows): correct the "
                    "labels, or leave out task=GroupedLabels(…)."
                )
        return classes, table

    def activate(self, logits: np.ndarray) -> np.ndarray:
        """Return a soft-max of each group, float64."""
        parts = [softmax(part.astype(np.float64), axis=1) for _, part in self._parts(logits)]
        return np.concatenate(parts, axis=1)

    def predict(self, proba: np.ndarray) -> np.ndarray:
        """Return 1 for the most probable label of each group, else 0."""
        best = np.zeros(proba.shape, dtype=np.int64)
        for (start, _), part in self._parts(proba):
            best[np.arange(len(proba)), start + part.argmax(axis=1)] = 1
        return best

    def confidence(self, proba: np.ndarray) -> np.ndarray:
        """Return the probability that all groups are right."""
        return np.prod([part.max(axis=1) for _, part in self._parts(proba)], axis=0)

    def loss(self, y: np.ndarray, proba: np.ndarray) -> np.ndarray:
        """Return the log loss of each image, summed over the groups."""
        total = np.zeros(len(y))
        for (start, stop), part in self._parts(np.asarray(proba, dtype=np.float64)):
            table = y[:, start:stop]
            # What is not ruled out: the label that is present, or all that are not known.
            left = np.where((table == 1).any(axis=1, keepdims=True), table == 1, table < 0)
            total -= np.log(np.clip((part * left).sum(axis=1), 1e-6, 1))
        return total

    def _parts(self, table: np.ndarray) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
        for start, stop in self.groups:
            yield (start, stop), table[:, start:stop]


def masked_group_cross_entropy(logits: Tensor, targets: Tensor, known: Tensor) -> Tensor:
    """Compute the cross-entropy (b,) of labels (b, G) of which a row has exactly one.

    The labels that are not known count as one class together, "another one": a row of which it
    is only known that it is no 3 teaches just that.

    Examples
    --------
    >>> unknown = torch.tensor([[1.0, 0.0, 0.0]])
    >>> loss = masked_group_cross_entropy(torch.zeros(1, 3), torch.zeros(1, 3), unknown)
    >>> round(float(loss.exp()), 4)  # another one of three: 2 of 3
    1.5
    """
    scores = torch.log_softmax(logits.float(), dim=1)
    is_known = known > 0
    held = torch.where(is_known, targets, 0.0)
    total = held.sum(dim=1, keepdim=True)
    complete = is_known.all(dim=1, keepdim=True)
    # Soft targets of several models need not sum to 1 exactly.
    held = torch.where(complete | (total > 1), held / total.clamp(min=1e-6), held)
    rest = torch.where(complete[:, 0], 0.0, (1 - held.sum(dim=1)).clamp(min=0))
    # A finite stand-in for minus infinity: its gradient is 0 and not NaN.
    other = torch.logsumexp(scores.masked_fill(is_known, -1e4), dim=1)
    return -(held * scores).sum(dim=1) - rest * other


@losses_of.register(GroupedLabels)
def _losses(task: GroupedLabels) -> dict[str, Loss]:
    return {"cross-entropy": partial(_group_losses, task.groups)}


def _group_losses(
    groups: Sequence[tuple[int, int]], logits: Tensor, targets: Tensor, known: Tensor | None
) -> Tensor:
    known = torch.ones_like(targets) if known is None else known
    parts = [
        masked_group_cross_entropy(logits[:, a:b], targets[:, a:b], known[:, a:b])
        for a, b in groups
    ]
    return torch.stack(parts, dim=1).mean(dim=1)
