"""Networks trained data-parallel by Ray Train: each worker takes its part of every batch."""

from __future__ import annotations

import tempfile
import types
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.distributed.nn.functional as collective
from torch import Tensor, nn

from fewlabel.nets.batches import Batch, TrainingSet
from fewlabel.nets.callbacks import _Validation
from fewlabel.nets.loop import Trainer
from fewlabel.nets.network import Network, _autocast
from fewlabel.scale.ray import RETRIES, in_one_thread, n_workers

MIN_IMAGES_SEEN = 2_000_000
"""Of fewer images over all epochs, the start of the workers takes longer than the training."""

_MIN_ROWS = 16


def train_on_ray(
    trainer: Trainer, data: TrainingSet, validation: _Validation | None = None
) -> tuple[Network, list[dict[str, Any]]] | None:
    """Train a network on all workers of the cluster, with the step that it would have here.

    Every worker has the whole network and all data, changes the whole batch by the same draws, and
    computes the gradient of its part. Gradients are added up, and batch normalization takes its
    mean and variance over all parts: the weights of one machine follow, up to rounding. A worker
    that dies costs the training, which begins anew.

    Parameters
    ----------
    trainer : Trainer
        The training, which has not begun; it writes no checkpoint here.
    data : TrainingSet
        What to learn from.
    validation : _Validation, optional
        Rows that are not trained on.

    Returns
    -------
    tuple or None
        The averaged network and the history; None where one process is faster, or the training is
        not of the ordinary kind.
    """
    import ray
    import ray.train
    from ray.train.torch import TorchConfig, TorchTrainer

    seen = trainer.settings._epochs(trainer.count_steps(data)) * len(data)
    if type(trainer) is not Trainer or seen < MIN_IMAGES_SEEN:
        return None
    groups = [
        {name: group[name] for name in ("params", "lr", "weight_decay")}
        for group in trainer.optimizer.param_groups
    ]
    # In one piece: the groups must hold the very parameters of the network.
    parts = trainer.network, groups, trainer.settings, trainer.row_loss, trainer.augment
    shared = ray.put((parts, data, validation))
    # A worker with fewer rows waits more than it works.
    workers = max(1, min(n_workers(), trainer.settings.batch_size // _MIN_ROWS))
    with tempfile.TemporaryDirectory(prefix="fewlabel-train-") as folder:
        # Ray's types know neither the version of its trainer nor what its loop returns.
        loop: Any = _train_part
        result: Any = TorchTrainer(
            loop,
            train_loop_config={"shared": [shared]},
            torch_config=TorchConfig(backend="gloo"),
            scaling_config=ray.train.ScalingConfig(
                num_workers=workers, resources_per_worker={"CPU": 0.9}
            ),
            run_config=ray.train.RunConfig(
                storage_path=folder,
                failure_config=ray.train.FailureConfig(max_failures=RETRIES),
            ),
        ).fit()
    state, history = result.return_value
    network: Any = trainer.average.module
    network.load_state_dict({name: torch.from_numpy(np.array(t)) for name, t in state.items()})
    return network, history


def _train_part(config: dict[str, Any]) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Train as one of the workers, which all end with the same weights."""
    import ray

    in_one_thread()
    parts, data, validation = ray.get(config["shared"][0])
    network, groups, settings, row_loss, augment = parts
    trainer = _PartTrainer(
        network,
        settings,
        device=torch.device("cpu"),
        loss=row_loss,
        groups=groups,
        augment=augment,
    )
    trained = trainer.fit(data, validation)
    return {name: t.numpy() for name, t in trained.state_dict().items()}, trainer.history


class _PartTrainer(Trainer):
    """Computes the gradient of a part of every batch, and adds it to those of the others."""

    def __init__(self, network: Network, *args: Any, **kwargs: Any) -> None:
        super().__init__(network, *args, **kwargs)
        self.rank = dist.get_rank()
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                vars(module)["forward"] = types.MethodType(_normalize_together, module)

    def backward(self, batch: Batch) -> float:
        """Compute the gradient of a batch, of which each worker has a part."""
        self.optimizer.zero_grad(set_to_none=True)
        with _autocast(self.device):
            loss = self.loss(batch)
        loss.backward()
        for parameter in self.network.parameters():
            if parameter.requires_grad and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        flat = torch.cat([*(g.reshape(-1) for g in gradients), loss.detach().float().reshape(1)])
        dist.all_reduce(flat)
        totals = flat[:-1].split([g.numel() for g in gradients])
        for gradient, total in zip(gradients, totals, strict=True):
            # Copied: the fused step of AdamW takes gradients in the layout of the weights alone.
            gradient.copy_(total.view(gradient.shape))
        return float(flat[-1])

    def loss(self, batch: Batch) -> Tensor:
        """Compute this worker's share of the loss of a batch."""
        inputs = batch.inputs
        if self.augment is not None:
            # Of the whole batch, so that every row draws what it would draw on one machine.
            inputs = self.augment(inputs, self.generator)
        size, n = dist.get_world_size(), len(batch)
        own = slice(self.rank * n // size, (self.rank + 1) * n // size)
        known = None if batch.known is None else batch.known[own]
        rows = self.row_loss(self.network(inputs[own]), batch.targets[own], known)
        if batch.weights is not None:
            rows = rows * batch.weights[own]
        return rows.sum() / n


def _normalize_together(module: Any, x: Tensor) -> Tensor:
    """Normalize by the mean and the variance of all parts of the batch."""
    # torch's own SyncBatchNorm is for GPUs alone.
    if not module.training:
        return type(module).forward(module, x)
    axes = [0, *range(2, x.ndim)]
    shape = [1, -1] + [1] * (x.ndim - 2)
    values = x.float()
    count = torch.tensor([values.numel() / values.shape[1]])
    dist.all_reduce(count)
    mean = collective.all_reduce(values.sum(axes)) / count
    centered = values - mean.view(shape)
    variance = collective.all_reduce((centered**2).sum(axes)) / count
    with torch.no_grad():
        module.num_batches_tracked += 1
        rate = module.momentum
        module.running_mean.lerp_(mean, rate)
        module.running_var.lerp_(variance * count / (count - 1), rate)
    scaled = centered / torch.sqrt(variance + module.eps).view(shape)
    if module.affine:
        scaled = scaled * module.weight.view(shape) + module.bias.view(shape)
    return scaled.to(x.dtype).contiguous(memory_format=_format_of(x))


def _format_of(x: Tensor) -> torch.memory_format:
    is_last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if is_last else torch.contiguous_format
