"""Networks and their training loop. Here alone callers see torch."""

from __future__ import annotations

from fewlabel.nets.architectures import ARCHITECTURES, Network, NetworkSpec, build_network
from fewlabel.nets.augment import Augmentation
from fewlabel.nets.batches import Batch, TrainingSet
from fewlabel.nets.changed_halves import ChangedHalves
from fewlabel.nets.ema import MovingAverage
from fewlabel.nets.estimator import NetworkClassifier
from fewlabel.nets.fine_tuning import FineTuning
from fewlabel.nets.loop import Trainer, predict_logits
from fewlabel.nets.losses import (
    masked_asymmetric_loss,
    masked_binary_cross_entropy,
    masked_group_cross_entropy,
    smooth_targets,
    soft_cross_entropy,
)
from fewlabel.nets.multilabel import MultiLabelNetwork
from fewlabel.nets.multilabel_targets import most_likely_labels
from fewlabel.nets.multilabel_trainer import MultiLabelTrainer
from fewlabel.nets.settings import TrainSettings

__all__ = [
    "ARCHITECTURES",
    "Augmentation",
    "Batch",
    "ChangedHalves",
    "FineTuning",
    "MovingAverage",
    "MultiLabelNetwork",
    "MultiLabelTrainer",
    "Network",
    "NetworkClassifier",
    "NetworkSpec",
    "TrainSettings",
    "Trainer",
    "TrainingSet",
    "build_network",
    "masked_asymmetric_loss",
    "masked_binary_cross_entropy",
    "masked_group_cross_entropy",
    "most_likely_labels",
    "predict_logits",
    "smooth_targets",
    "soft_cross_entropy",
]
