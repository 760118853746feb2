"""The training loop for several labels an image, some of which may not be known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fewlabel.nets.batches import Batch
from fewlabel.nets.loop import Trainer
from fewlabel.nets.losses import (
    masked_asymmetric_loss,
    masked_binary_cross_entropy,
    masked_group_cross_entropy,
)
from fewlabel.nets.multilabel_targets import Structure

LOSSES = {"bce": masked_binary_cross_entropy, "asymmetric": masked_asymmetric_loss}
"""Losses of single labels by name."""


class MultiLabelTrainer(Trainer):
    """Train a network with one output a label.

    The targets of its training set are (n, 2, L): what is to be said of each label, and beside
    it how far that is known.

    Parameters
    ----------
    *args : tuple
        As of `Trainer`.
    entry_loss : {"bce", "asymmetric"}
        Loss of a single label.
    structure : sequence of (start, stop)
        Groups of outputs of which every image has exactly one; their loss is a cross-entropy.
    **kwargs : dict
        As of `Trainer`.
    """

    def __init__(
        self, *args: Any, entry_loss: str = "bce", structure: Structure = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.entry_loss = entry_loss
        self.structure = [(int(start), int(stop)) for start, stop in structure]

    def identity(self) -> list[Any]:
        """Give what makes this training another one than a plain one, for its checkpoint.

        Returns
        -------
        list
            JSON types.
        """
        return [*super().identity(), self.entry_loss, self.structure]

    def loss(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch: of each row the mean over groups and single labels.

        Parameters
        ----------
        batch : Batch
            Rows on the device.

        Returns
        -------
        Tensor
            Scalar.
        """
        inputs = batch.inputs
        if self.augment is not None:
            inputs = self.augment(inputs, self.generator)
        logits = self.network(inputs)
        targets, known = batch.targets.unbind(dim=1)
        single = torch.ones(logits.shape[1], dtype=torch.bool, device=logits.device)
        parts: list[Tensor] = []
        for start, stop in self.structure:
            group = slice(start, stop)
            single[group] = False
            losses = masked_group_cross_entropy(
                logits[:, group], targets[:, group], known[:, group]
            )
            parts.append(losses[:, None])
        if single.any():
            entry_loss = LOSSES[self.entry_loss]
            parts.append(entry_loss(logits[:, single], targets[:, single], known[:, single]))
        # Divided by all labels and not by the known ones: a row of which little is known moves
        # the network less.
        rows = torch.cat(parts, dim=1).mean(dim=1)
        return rows.mean() if batch.weights is None else (rows * batch.weights).mean()
