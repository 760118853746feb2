"""How good a model is, from few labels: metrics, calibration, cross-fitting, the choice."""

from fewlabel.evaluate.candidate import Candidate, Fitted, Problem
from fewlabel.evaluate.choose import CandidateScore, Choice, choose_candidate
from fewlabel.evaluate.class_accuracy import class_accuracy
from fewlabel.evaluate.comparison import (
    BASELINE,
    Comparison,
    Gain,
    choose_fitted,
    gain_on_audit,
    gain_on_labels,
)
from fewlabel.evaluate.crossfit import LabelFolds, held_out, label_folds
from fewlabel.evaluate.estimates import AccuracyEstimate, estimate_accuracy
from fewlabel.evaluate.learning_curve import (
    CurveValue,
    LearningCurve,
    fit_learning_curve,
    why_no_curve,
)
from fewlabel.evaluate.metrics import confusion_matrix, per_class, scores, wilson_interval
from fewlabel.evaluate.posterior import (
    PoolAccuracy,
    agree_with,
    audit_accuracy,
    estimate_on_pool,
    pool_accuracy,
)
from fewlabel.evaluate.registry import candidate_names, find_candidate, make_candidates, register
from fewlabel.evaluate.reliability import (
    CoverageCurve,
    ReliabilityCurve,
    calibrate_apart,
    coverage_accuracy_curve,
    expected_calibration_error,
    fit_calibration,
    reliability_curve,
)
from fewlabel.evaluate.selective import PROMISES, Acceptance, Evidence, accept_at

__all__ = [
    "BASELINE",
    "PROMISES",
    "Acceptance",
    "AccuracyEstimate",
    "Candidate",
    "CandidateScore",
    "Choice",
    "Comparison",
    "CoverageCurve",
    "CurveValue",
    "Evidence",
    "Fitted",
    "Gain",
    "LabelFolds",
    "LearningCurve",
    "PoolAccuracy",
    "Problem",
    "ReliabilityCurve",
    "accept_at",
    "agree_with",
    "audit_accuracy",
    "calibrate_apart",
    "candidate_names",
    "choose_candidate",
    "choose_fitted",
    "class_accuracy",
    "confusion_matrix",
    "coverage_accuracy_curve",
    "estimate_accuracy",
    "estimate_on_pool",
    "expected_calibration_error",
    "find_candidate",
    "fit_calibration",
    "fit_learning_curve",
    "gain_on_audit",
    "gain_on_labels",
    "held_out",
    "label_folds",
    "make_candidates",
    "per_class",
    "pool_accuracy",
    "register",
    "reliability_curve",
    "scores",
    "why_no_curve",
    "wilson_interval",
]
