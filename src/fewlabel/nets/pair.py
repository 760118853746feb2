"""One network that reads both halves of an image of two things, one of each of two kinds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fewlabel.errors import UsageError
from fewlabel.nets.augment import Augmentation
from fewlabel.nets.network import Network, NetworkSpec


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


def half_spec(spec: NetworkSpec, body: str, first: int, options: dict[str, object]) -> NetworkSpec:
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
        If images are a single column, or labels are not of two kinds.
    """
    channels, height, width = spec.input_shape
    if width < 2 or not 0 < first < spec.n_outputs:
        raise UsageError(
            "The architecture 'pair' takes images of two columns or more, and as 'first' the "
            f"number of labels of the first of two kinds. Got {width} columns, and {first!r} of "
            f"{spec.n_outputs} labels."
        )
    return NetworkSpec(body, (channels, height, width // 2), spec.n_outputs, options)


@dataclass(frozen=True)
class ChangedHalves:
    """Random changes of both halves of images, each by itself.

    What is moved or turned in one half does not reach into the other.

    Parameters
    ----------
    change : Augmentation
        What is done to a half.
    """

    change: Augmentation

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Change a batch.

        Parameters
        ----------
        images : Tensor of shape (b, C, H, W)
            Numbers from 0 to 1.
        generator : torch.Generator
            Source of every random choice.

        Returns
        -------
        Tensor of shape (b, C, H, W)
            Changed images; the middle column of an odd width stays.
        """
        half = images.shape[3] // 2
        halves = torch.cat([images[..., :half], images[..., -half:]])
        left, right = self.change(halves, generator).chunk(2)
        middle = images[..., half : images.shape[3] - half]
        return torch.cat([left, middle, right], dim=3)
