"""Train on labels and on what the model itself believes of the unlabelled rows."""

from __future__ import annotations

from fewlabel.selftrain.accepted_precision import AcceptedPrecision
from fewlabel.selftrain.consistency import ConsistencyTraining
from fewlabel.selftrain.experts import BinaryExperts
from fewlabel.selftrain.ledger import PseudoLabelLedger
from fewlabel.selftrain.pseudo import SelfTraining
from fewlabel.selftrain.teacher import TeacherStudent

__all__ = [
    "AcceptedPrecision",
    "BinaryExperts",
    "ConsistencyTraining",
    "PseudoLabelLedger",
    "SelfTraining",
    "TeacherStudent",
]
