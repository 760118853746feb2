"""One network that reads both halves of an image of two things, one of each of two kinds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fewlabel.errors import UsageError
from fewlabel.nets import Network, NetworkSpec, build_network


class PairNetwork(Network):
    """Read the left and the right half of an image with the same weights.

    A half gives how likely it shows each label of either kind. Which half holds which kind is not
    known, so both arrangements count: the probability of a label is the sum over them, and over
    what the other half may show. So no half is read as a label of both kinds at once.
    """

    def __init__(self, spec: NetworkSpec, half: Network, first: int) -> None:
        super().__init__(spec, half.body, half.head.in_features)
        self.first = first

    def embed(self, x: Tensor) -> Tensor:
        """Compute the mean of both halves' embeddings: the same wherever each of the two stands."""
        return self._halves(x).mean(dim=0)

    def forward(self, x: Tensor) -> Tensor:
        """Compute each label's log probability, up to a constant for each kind."""
        left, right = self.head(self._halves(x)).float()
        return pair_marginals(left, right, self.first)

    def _halves(self, x: Tensor) -> Tensor:
        seen = self.standardize(x)
        half = seen.shape[3] // 2
        embeddings: Tensor = self.body(torch.cat([seen[..., :half], seen[..., -half:]]))
        return torch.stack(embeddings.chunk(2))


def pair_marginals(left: Tensor, right: Tensor, first: int) -> Tensor:
    """Return each label's log probability, up to a constant for each of two kinds.

    Either of two things has a score (b, L) of each label, of which the first ones are of the first
    kind; which thing is of which kind is not known.
    """
    kinds = slice(None, first), slice(first, None)
    marginals = []
    for own, other in (kinds, kinds[::-1]):
        on_left = left[:, own] + right[:, other].logsumexp(dim=1, keepdim=True)
        on_right = right[:, own] + left[:, other].logsumexp(dim=1, keepdim=True)
        marginals.append(torch.logaddexp(on_left, on_right))
    return torch.cat(marginals, dim=1)


def pair_network(
    spec: NetworkSpec, *, first: Any = None, body: str = "resnet", **options: Any
) -> Network:
    """Build a network for two things side by side; the first labels are those of the first kind."""
    channels, height, width = spec.input_shape
    is_count = isinstance(first, int) and not isinstance(first, bool)
    if width < 2 or not is_count or not 0 < first < spec.n_outputs:
        raise UsageError(
            "The architecture 'pair' takes images of two columns or more, and as 'first' the "
            f"number of labels of the first of two kinds. Got {width} columns, and {first!r} of "
            f'{spec.n_outputs} labels: give options={{"first": 10}} where the first 10 are '
            "of one kind."
        )
    if body.startswith("timm/") or body == spec.name:
        raise UsageError(
            "The architecture 'pair' reads halves by a small network such as 'cnn' or 'resnet'. "
            f"Got the body {body!r} instead."
        )
    # Of an odd width the middle column is left out.
    half = NetworkSpec(body, (channels, height, width // 2), spec.n_outputs, options)
    return PairNetwork(spec, build_network(half), first)
