"""One network that reads both halves of an image of two things, one of each of two kinds."""

from __future__ import annotations

import torch
from torch import Tensor

from fewlabel.errors import UsageError
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
    rows : tuple of (int, int)
        First row that is looked at, and the one after the last.
    """

    def __init__(self, spec: NetworkSpec, half: Network, first: int, rows: tuple[int, int]) -> None:
        super().__init__(spec, half.body, half.head.in_features)
        self.first = first
        self.rows = slice(*rows)

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
        seen = self.standardize(x)[:, :, self.rows]
        half = seen.shape[3] // 2
        embeddings: Tensor = self.body(torch.cat([seen[..., :half], seen[..., -half:]]))
        return torch.stack(embeddings.chunk(2))


def half_spec(
    spec: NetworkSpec, body: str, first: int, rows: tuple[int, int], options: dict[str, object]
) -> NetworkSpec:
    """Describe the network of one half.

    Parameters
    ----------
    spec : NetworkSpec
        The network of both.
    body : str
        Architecture of one half.
    first : int
        Outputs of the first kind.
    rows : tuple of (int, int)
        Rows that are looked at.
    options : dict
        Settings of the body.

    Returns
    -------
    NetworkSpec
        For images half as wide; of an odd width the middle column is left out.

    Raises
    ------
    UsageError
        If images are a single column or have no such rows, or labels are not of two kinds.
    """
    channels, height, width = spec.input_shape
    if width < 2 or not 0 <= rows[0] < rows[1] <= height or not 0 < first < spec.n_outputs:
        raise UsageError(
            "The architecture 'pair' takes images of two columns or more, 'rows' within them, and "
            f"as 'first' the number of labels of the first of two kinds. Got images of {width}x"
            f"{height} pixels, rows {rows[0]} to {rows[1]}, and {first} of {spec.n_outputs} labels."
        )
    return NetworkSpec(body, (channels, rows[1] - rows[0], width // 2), spec.n_outputs, options)
