"""Networks and their training loop. Here alone callers see torch."""

from fewlabel.nets.architectures import ARCHITECTURES, build_network
from fewlabel.nets.augment import Augmentation
from fewlabel.nets.batches import Batch, TrainingSet
from fewlabel.nets.cached_trunk import TrunkMemory
from fewlabel.nets.classifier import NetworkClassifier
from fewlabel.nets.fine_tuning import FineTuning
from fewlabel.nets.loop import Trainer, predict_logits
from fewlabel.nets.losses import masked_binary_cross_entropy, soft_cross_entropy
from fewlabel.nets.network import Network, NetworkSpec
from fewlabel.nets.settings import TrainSettings

__all__ = [
    "ARCHITECTURES",
    "Augmentation",
    "Batch",
    "FineTuning",
    "Network",
    "NetworkClassifier",
    "NetworkSpec",
    "TrainSettings",
    "Trainer",
    "TrainingSet",
    "TrunkMemory",
    "build_network",
    "masked_binary_cross_entropy",
    "predict_logits",
    "soft_cross_entropy",
]
