"""Graph distillation: a network learns what the graph propagates, and improves the graph."""

import numpy as np

from fewlabel.evaluate import register
from fewlabel.semisupervised.acceptance import PseudoLabels
from fewlabel.semisupervised.network_training import Trained, TrainingInputs
from fewlabel.semisupervised.networks import NetworkCandidate

# Propagated probabilities are too flat to learn from: their squares are.
_SHARPEN = 2.0


@register
class GraphDistillation(NetworkCandidate):
    """The graph teaches a network, whose embeddings make a better graph, and so on."""

    name = "graph-distillation"
    summary = "Networks distilled from propagated labels; their embeddings make a better graph"
    max_rounds = 4

    def accept(self, inputs: TrainingInputs) -> PseudoLabels:
        """Accept all that is propagated: how far each label counts is left to the training."""
        task, proba = inputs.problem.task, inputs.proba
        _, known = task.evidence(inputs.y, proba.shape[1])
        rows = np.flatnonzero(~known.all(axis=1))
        present = (task.decided(proba) & ~known)[rows]
        return PseudoLabels(rows, proba[rows], ~known[rows], present, proba[rows])

    def train(self, inputs: TrainingInputs, pseudo: PseudoLabels) -> Trained:
        """Train on propagated labels, weighted by their confidence."""
        targets, mask = inputs.problem.task.soft_targets(inputs.proba, inputs.y, _SHARPEN)
        network = inputs.network(len(inputs.pixels))
        return inputs.trained(
            network,
            lambda: network.fit_soft(inputs.pixels, targets, mask=mask, classes=inputs.classes),
        )
