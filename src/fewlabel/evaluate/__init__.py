"""How good a model is, said from few labels: measures, calibration, cross-fitting."""

from __future__ import annotations

from fewlabel.evaluate.calibrate import apply_temperature, fit_temperature
from fewlabel.evaluate.candidate import Candidate, Fitted, Problem
from fewlabel.evaluate.candidates import CandidateScore, Choice, as_asked, choose_candidate
from fewlabel.evaluate.crossfit import LabelFolds, cross_fit, held_out, label_folds
from fewlabel.evaluate.estimates import AccuracyEstimate, audit_estimate, estimate_accuracy
from fewlabel.evaluate.label_candidates import choose_label_candidate
from fewlabel.evaluate.label_scaling import LabelScaling, fit_scaling, scale_apart
from fewlabel.evaluate.learning_curve import (
    CurveValue,
    LearningCurve,
    fit_learning_curve,
    why_no_curve,
)
from fewlabel.evaluate.metrics import (
    ClassTable,
    accuracy,
    balanced_accuracy,
    brier_score,
    confusion_matrix,
    log_loss,
    per_class,
    wilson_interval,
)
from fewlabel.evaluate.multilabel import (
    average_precisions,
    exact_match,
    exactly_right,
    label_calibration_errors,
    mean_average_precision,
    multilabel_f1,
    multilabel_scores,
)
from fewlabel.evaluate.registry import candidate_names, make_candidates, register
from fewlabel.evaluate.reliability import (
    CoverageAtAccuracy,
    CoverageCurve,
    ReliabilityCurve,
    coverage_accuracy_curve,
    coverage_at_accuracy,
    expected_calibration_error,
    reliability_curve,
    top_label,
)

__all__ = [
    "AccuracyEstimate",
    "Candidate",
    "CandidateScore",
    "Choice",
    "ClassTable",
    "CoverageAtAccuracy",
    "CoverageCurve",
    "CurveValue",
    "Fitted",
    "LabelFolds",
    "LabelScaling",
    "LearningCurve",
    "Problem",
    "ReliabilityCurve",
    "accuracy",
    "apply_temperature",
    "as_asked",
    "audit_estimate",
    "average_precisions",
    "balanced_accuracy",
    "brier_score",
    "candidate_names",
    "choose_candidate",
    "choose_label_candidate",
    "confusion_matrix",
    "coverage_accuracy_curve",
    "coverage_at_accuracy",
    "cross_fit",
    "estimate_accuracy",
    "exact_match",
    "exactly_right",
    "expected_calibration_error",
    "fit_learning_curve",
    "fit_scaling",
    "fit_temperature",
    "held_out",
    "label_calibration_errors",
    "label_folds",
    "log_loss",
    "make_candidates",
    "mean_average_precision",
    "multilabel_f1",
    "multilabel_scores",
    "per_class",
    "register",
    "reliability_curve",
    "scale_apart",
    "top_label",
    "why_no_curve",
    "wilson_interval",
]
