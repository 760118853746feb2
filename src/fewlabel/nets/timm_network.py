"""Any timm model as a network of the training loop, with or without pretrained weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fewlabel.errors import UsageError
from fewlabel.nets.network import Network, NetworkSpec, Standardize
from fewlabel.nets.pretrained import DEFAULT_MODEL, Recipe, name_from_weights
from fewlabel.nets.timm_models import TimmModel, make_timm_model, try_model

PREFIX = "timm/"
"""What the architecture of a network from timm begins with, as in ``timm/resnet50``."""

_COLOURS = 3


class TimmBody(nn.Module):
    """A timm model without its classifier, as the body of a network.

    Parameters
    ----------
    model : Module
        From (b, 3, H, W) to (b, n_features).
    frozen_norms : bool
        Keep batch normalisation at its stored statistics in training as well.
    unit_rows : bool
        Scale each row of ``d`` features to the length ``sqrt(d)``.
    """

    def __init__(self, model: nn.Module, *, frozen_norms: bool, unit_rows: bool) -> None:
        super().__init__()
        self.model = model
        self.frozen_norms = frozen_norms
        self.unit_rows = unit_rows

    def train(self, mode: bool = True) -> TimmBody:
        """Go to training or evaluation mode; frozen normalisation stays in the latter.

        Parameters
        ----------
        mode : bool
            True for training.

        Returns
        -------
        TimmBody
            Itself.
        """
        super().train(mode)
        if self.frozen_norms:
            for module in self.model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Compute embeddings.

        Parameters
        ----------
        x : Tensor of shape (b, 3, H, W)
            Normalised images.

        Returns
        -------
        Tensor of shape (b, n_features)
            Embeddings.
        """
        rows: Tensor = self.model(x)
        if not self.unit_rows:
            return rows
        return functional.normalize(rows.float(), dim=1) * rows.shape[1] ** 0.5


def timm_network(
    spec: NetworkSpec,
    *,
    frozen_norms: bool = False,
    unit_rows: bool = False,
    **model_kwargs: Any,
) -> Network:
    """Build a network whose body is a timm model with random weights.

    Colours are normalised as timm says of the model. Grey images are given three equal
    colours.

    Parameters
    ----------
    spec : NetworkSpec
        Its name is ``timm/NAME``.
    frozen_norms : bool
        Keep batch normalisation at its stored statistics in training as well.
    unit_rows : bool
        Scale each row of ``d`` features to the length ``sqrt(d)``.
    **model_kwargs : dict
        More arguments of ``timm.create_model``.

    Returns
    -------
    Network
        Weights not trained, drawn from torch's global generator.

    Raises
    ------
    UsageError
        If timm has no such model, or it does not take such arguments or sizes.
    MissingExtraError
        If timm is not installed.

    Examples
    --------
    >>> network = timm_network(NetworkSpec("timm/resnet18", (1, 32, 32), 10))
    >>> network(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 10])
    """
    made = make_timm_model(
        Recipe(spec.name.removeprefix(PREFIX), model_kwargs=model_kwargs),
        pretrained=False,
        size=(spec.input_shape[1], spec.input_shape[2]),
        seed=None,
    )
    return _with_head(spec, made, frozen_norms=frozen_norms, unit_rows=unit_rows)


def pretrained_network(
    backbone: str | None,
    n_outputs: int,
    *,
    weights: str | Path | None = None,
    pretrained: bool = True,
    size: tuple[int, int] | None = None,
    channels: int = _COLOURS,
    seed: int = 0,
) -> Network:
    """Build a network on a pretrained timm model, ready to be fine-tuned.

    Its description says all but the weights, so that `fewlabel.nets.build_network` and
    ``load_state_dict`` rebuild it without the hub.

    Parameters
    ----------
    backbone : str or None
        Name of a timm model. None reads it from the weights, or takes ``mobilenetv2_100``.
    n_outputs : int
        Number of classes.
    weights : str, Path or None
        A ``.safetensors`` file with tensors under timm's names; None fetches the weights that
        timm names from the hub.
    pretrained : bool
        False draws random weights where no file is given; normalisation is then not frozen.
    size : (int, int), optional
        Height and width of the images; by default what the model was trained on.
    channels : {1, 3}
        1 for grey images; they are given three equal colours.
    seed : int
        Seed of random weights. The global random state is left alone.

    Returns
    -------
    Network
        On the CPU; its head is not trained.

    Raises
    ------
    UsageError
        If timm has no such model, or the model does not take such a size.
    DataError
        If the weights are damaged or belong to another model.
    DownloadError
        If the hub cannot be reached.
    MissingExtraError
        If timm is not installed.

    Examples
    --------
    >>> network = pretrained_network("resnet18", 5, pretrained=False, size=(32, 32))
    >>> network.spec.name, network.spec.input_shape
    ('timm/resnet18', (3, 32, 32))
    """
    if backbone is None:
        backbone = DEFAULT_MODEL if weights is None else name_from_weights(weights)
    made = make_timm_model(
        Recipe(backbone), weights=weights, pretrained=pretrained, size=size, seed=seed
    )
    is_trained = pretrained or weights is not None
    spec = NetworkSpec(
        PREFIX + made.recipe.model,
        (channels, *made.size),
        n_outputs,
        {**made.recipe.model_kwargs, "frozen_norms": is_trained, "unit_rows": is_trained},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _with_head(spec, made, frozen_norms=is_trained, unit_rows=is_trained)


def _with_head(
    spec: NetworkSpec, made: TimmModel, *, frozen_norms: bool, unit_rows: bool
) -> Network:
    if spec.input_shape[0] not in (1, _COLOURS):
        raise UsageError(
            f"The architecture {spec.name!r} takes images of 1 or 3 channels. "
            f"Got {spec.input_shape[0]} instead."
        )
    probe = torch.zeros(1, _COLOURS, *made.size)
    width = try_model(made.module.eval(), probe, made.recipe.model).shape[1]
    body = TimmBody(made.module, frozen_norms=frozen_norms, unit_rows=unit_rows)
    network = Network(spec, body.train(), width)
    # Three means and one grey channel broadcast to three colours: no other adapter is needed.
    network.standardize = Standardize((_COLOURS, 1, 1))
    for buffer, values in (
        (network.standardize.mean, made.recipe.mean),
        (network.standardize.scale, made.recipe.std),
    ):
        buffer.copy_(torch.tensor(values).view(_COLOURS, 1, 1))
    return network
