"""One network that reads both halves of an image of two things, one of each of two kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from fewlabel.errors import UsageError
from fewlabel.nets.network import Network, NetworkSpec
from fewlabel.nets.timm_network import PREFIX


class PairNetwork(Network):
    """Read the left and the right half of an image with the same weights.

    A half says how likely it shows each label of either kind. Which half holds which kind is not
    known, so both arrangements count: the probability of a label is the sum over them, and over
    what the other half may show. So no half is read as a label of both kinds at once.

    Parameters
    ----------
    spec : NetworkSpec
        Input, as wide as both halves, and output.
    half : Network
        Reads one half, and has as many outputs.
    first : int
        Outputs of the first kind; the rest are of the second.
    """

    def __init__(self, spec: NetworkSpec, half: Network, first: int) -> None:
        super().__init__(spec, half.body, half.head.in_features)
        self.first = first

    def embed(self, x: Tensor) -> Tensor:
        """Compute the mean of both halves' embeddings.

        Parameters
        ----------
        x : Tensor of shape (b, C, H, W)
            Float batch, not standardized.

        Returns
        -------
        Tensor of shape (b, width)
            What is the same wherever each of the two stands.
        """
        return self._halves(x).mean(dim=0)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logarithm of each label's probability, up to a constant for each kind.

        Parameters
        ----------
        x : Tensor of shape (b, C, H, W)
            Float batch, not standardized.

        Returns
        -------
        Tensor of shape (b, n_outputs)
            A soft-max over the labels of a kind gives their probabilities.
        """
        left, right = self.head(self._halves(x)).float()
        kinds = slice(None, self.first), slice(self.first, None)
        marginals = []
        for own, other in (kinds, kinds[::-1]):
            on_left = left[:, own] + right[:, other].logsumexp(dim=1, keepdim=True)
            on_right = right[:, own] + left[:, other].logsumexp(dim=1, keepdim=True)
            marginals.append(torch.logaddexp(on_left, on_right))
        return torch.cat(marginals, dim=1)

    def _halves(self, x: Tensor) -> Tensor:
        seen = self.standardize(x)
        half = seen.shape[3] // 2
        embeddings: Tensor = self.body(torch.cat([seen[..., :half], seen[..., -half:]]))
        return torch.stack(embeddings.chunk(2))


def half_spec(spec: NetworkSpec, body: str, first: Any, options: Mapping[str, Any]) -> NetworkSpec:
    """Describe the network of one half.

    Parameters
    ----------
    spec : NetworkSpec
        The network of both.
    body : str
        Architecture of one half.
    first : int
        Outputs of the first kind.
    options : dict
        Settings of the body.

    Returns
    -------
    NetworkSpec
        For images half as wide; of an odd width the middle column is left out.

    Raises
    ------
    UsageError
        If images are a single column, labels are not of two kinds, or the body is one of timm.

    Examples
    --------
    >>> whole = NetworkSpec("pair", (1, 28, 56), 36)
    >>> half_spec(whole, "cnn", 10, {}).input_shape
    (1, 28, 28)
    """
    channels, height, width = spec.input_shape
    is_count = isinstance(first, int) and not isinstance(first, bool)
    if width < 2 or not is_count or not 0 < first < spec.n_outputs:
        raise UsageError(
            "The architecture 'pair' takes images of two columns or more, and as 'first' the "
            f"number of labels of the first of two kinds. Got {width} columns, and {first!r} of "
            f'{spec.n_outputs} labels: give options={{"first": 10}} where the first 10 are '
            "of one kind."
        )
    if body.startswith(PREFIX) or body == spec.name:
        raise UsageError(
            "The architecture 'pair' reads halves by a small network such as 'cnn' or 'resnet'. "
            f"Got the body {body!r} instead."
        )
    return NetworkSpec(body, (channels, height, width // 2), spec.n_outputs, options)


def check_kinds(
    options: Mapping[str, Any], structure: Sequence[tuple[int, int]] | None, n: int, owner: str
) -> None:
    """Refuse a pair of which nothing says that an image has one label of each kind.

    Parameters
    ----------
    options : dict
        Settings of the architecture.
    structure : sequence of (start, stop) or None
        Groups of labels of which an image has exactly one.
    n : int
        Number of labels.
    owner : str
        Name of the estimator, for the message.

    Raises
    ------
    UsageError
        If the structure is not that of the two kinds.

    Examples
    --------
    >>> check_kinds({"first": 10}, ((0, 10), (10, 36)), 36, "MultiLabelNetwork")
    """
    first = options.get("first")
    if [tuple(group) for group in structure or ()] != [(0, first), (first, n)]:
        raise UsageError(
            f"The architecture 'pair' of {owner} is for images with one label of each of two kinds "
            f"side by side: use MultiLabelNetwork with structure=((0, {first}), ({first}, {n})). "
            f"Got {structure!r} instead."
        )
