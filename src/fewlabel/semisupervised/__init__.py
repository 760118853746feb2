"""Train on labels and on what the model itself predicts for the unlabeled rows."""

from __future__ import annotations

from fewlabel.semisupervised.accepted_precision import AcceptedPrecision
from fewlabel.semisupervised.consistency import ConsistencyTraining
from fewlabel.semisupervised.ledger import PseudoLabelLedger
from fewlabel.semisupervised.one_vs_rest import BinaryExperts
from fewlabel.semisupervised.self_training import SelfTraining
from fewlabel.semisupervised.teacher_student import TeacherStudent

__all__ = [
    "AcceptedPrecision",
    "BinaryExperts",
    "ConsistencyTraining",
    "PseudoLabelLedger",
    "SelfTraining",
    "TeacherStudent",
]
