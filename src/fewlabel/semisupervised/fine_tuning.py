"""Fine-tuning: a pretrained network learns the labels."""

from fewlabel.evaluate import register
from fewlabel.semisupervised.acceptance import PseudoLabels
from fewlabel.semisupervised.network_problem import NetworkProblem
from fewlabel.semisupervised.network_training import Trained, TrainingInputs
from fewlabel.semisupervised.networks import NetworkCandidate


@register
class FineTuned(NetworkCandidate):
    """A pretrained network is fine-tuned on the labels."""

    name = "fine-tuning"
    summary = "A pretrained network fine-tuned on the labels; its embeddings make a better graph"
    retrains = True
    joins_all = False
    needs_backbone = True

    def suits(self, problem: NetworkProblem) -> bool:
        """Return False: it is tried where it is asked for."""
        return False

    def train(self, inputs: TrainingInputs, pseudo: PseudoLabels) -> Trained:
        """Train on the labels."""
        present, known = inputs.problem.task.evidence(inputs.y, len(inputs.classes))
        rows = inputs.problem.task.labeled(inputs.y)
        return inputs.train_on(rows, present[rows], known[rows])
