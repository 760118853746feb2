"""Train on labels and on what the model itself predicts for the unlabeled rows."""

# isort: off
# In this order the candidates are registered, listed in help and tried by `auto`.
from fewlabel.semisupervised.graph_distillation import GraphDistillation
from fewlabel.semisupervised.fine_tuning import FineTuned
from fewlabel.semisupervised.self_training import SelfTraining
from fewlabel.semisupervised.consistency import ConsistencyTraining
from fewlabel.semisupervised.one_vs_rest import BinaryExperts
from fewlabel.semisupervised.teacher_student import TeacherStudent

# isort: on
from fewlabel.semisupervised.history import AcceptedPrecision
from fewlabel.semisupervised.ledger import PseudoLabelLedger

__all__ = [
    "AcceptedPrecision",
    "BinaryExperts",
    "ConsistencyTraining",
    "FineTuned",
    "GraphDistillation",
    "PseudoLabelLedger",
    "SelfTraining",
    "TeacherStudent",
]
