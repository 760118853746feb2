"""What the reports are made of where an image may have several labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewlabel.evaluate import AccuracyEstimate, CandidateScore, exactly_right
from fewlabel.report.inputs import Gallery, LedgerRow
from fewlabel.semisupervised.history import TrainingHistory


@dataclass(frozen=True)
class MultiLabelScored:
    """Images whose labels are known, with what the model said of them.

    Parameters
    ----------
    y : ndarray of shape (n, K), int
        1 present, 0 absent, -1 not known.
    proba : ndarray of shape (n, K), float
        Probability of each label.

    Raises
    ------
    ValueError
        If the arrays do not fit together.
    """

    y: NDArray[np.integer[Any]]
    proba: NDArray[np.floating[Any]]

    def __post_init__(self) -> None:
        """Check that the arrays fit together."""
        if np.shape(self.y) != np.shape(self.proba) or np.ndim(self.y) != 2 or not len(self.y):
            raise ValueError(
                "The labels and their probabilities must be tables of one shape, at least one "
                f"row. Got {np.shape(self.y)} and {np.shape(self.proba)} instead."
            )

    @property
    def predicted(self) -> NDArray[np.integer[Any]]:
        """Predicted labels, an int array of shape (n, K)."""
        return (self.proba >= 0.5).astype(np.int64)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Of which images every known label is right, a bool array of shape (n,)."""
        return exactly_right(self.y, self.predicted)

    @property
    def confidence(self) -> NDArray[np.floating[Any]]:
        """Probability that all known labels are right, a float array of shape (n,)."""
        surer = np.maximum(self.proba, 1 - self.proba)
        return np.asarray(np.where(self.y >= 0, surer, 1).prod(axis=1))


@dataclass(frozen=True)
class MultiLabelReportInputs:
    """All that ``report.html`` of a run shows.

    Parameters
    ----------
    title, source, created, version : str
        As in `fewlabel.report.ReportInputs`.
    n_images : int
        Images used.
    n_labeled : int
        Images of which a label is known.
    classes : sequence of str
        Names of the K labels.
    estimate : AccuracyEstimate
        Exact match of the chosen model on images whose labels it did not see.
    scored : MultiLabelScored
        Those images.
    scores : mapping of str to float
        Other measures on them.
    given : ndarray of shape (n_images, K), int
        Labels that were given: 1, 0, and -1 where one is not known.
    predictions : ndarray of shape (n_images, K), int
        Predicted labels; the given ones where they are known.
    proba : ndarray of shape (n_images, K), float
        Probability of each label.
    confidence : ndarray of shape (n_images,), float
        Probability that all labels of an image are right.
    origin : ndarray of shape (n_images,), str
        ``"label"``, ``"propagated"`` or ``"model"``.
    candidates : sequence of CandidateScore
        The methods that were tried.
    n_se : float
        By how many standard errors the method was chosen: ``Choice.n_se``.
    supervised_name : str
        Which candidate is the baseline on the labels alone.
    labels_only : sequence of str
        Other candidates that learned nothing from the unlabelled images.
    tested_by : str
        How the candidates were compared.
    audit : AccuracyEstimate, optional
        Exact match on a random sample that was labelled for this purpose.
    galleries, explained, accepted : sequence of Gallery
        Pictures to look at, explained predictions, and pseudo-labels.
    warnings : sequence of str
        What the user must know.
    skipped : sequence of (str, str)
        Path and reason of each file that was set aside.
    n_duplicates : int
        Exact duplicates among the images.
    ledger_summary : sequence of LedgerRow
        Labels that were assumed, by method.
    next_steps : sequence of str
        What the user can do next.
    settings, seconds : mapping
        Every setting, and the time of each stage.
    feature_reason : str
        Which features were used, and why.
    peak_rss_mb : float, optional
        Peak memory in megabytes.
    command : str
        The command that makes this run again.
    training : TrainingHistory, optional
        What happened while networks were trained.
    """

    title: str
    source: str
    created: str
    version: str
    n_images: int
    n_labeled: int
    classes: Sequence[str]
    estimate: AccuracyEstimate
    scored: MultiLabelScored
    scores: Mapping[str, float]
    given: NDArray[np.integer[Any]]
    predictions: NDArray[np.integer[Any]]
    proba: NDArray[np.floating[Any]]
    confidence: NDArray[np.floating[Any]]
    origin: NDArray[Any]
    candidates: Sequence[CandidateScore] = ()
    n_se: float = 2.0
    supervised_name: str = ""
    labels_only: Sequence[str] = ()
    tested_by: str = "cross-fitting"
    audit: AccuracyEstimate | None = None
    galleries: Sequence[Gallery] = ()
    explained: Sequence[Gallery] = ()
    accepted: Sequence[Gallery] = ()
    warnings: Sequence[str] = ()
    skipped: Sequence[tuple[str, str]] = ()
    n_duplicates: int = 0
    ledger_summary: Sequence[LedgerRow] = ()
    next_steps: Sequence[str] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    feature_reason: str = ""
    peak_rss_mb: float | None = None
    command: str = ""
    training: TrainingHistory | None = None


@dataclass(frozen=True)
class MultiLabelEvaluationInputs:
    """All that the report of ``fewlabel evaluate`` shows.

    Parameters
    ----------
    title, source, created, version : str
        As in `fewlabel.report.EvaluationInputs`.
    classes : sequence of str
        Names of the K labels.
    scored : MultiLabelScored
        The images.
    scores : mapping of str to float
        Measures on them.
    expected : AccuracyEstimate, optional
        The exact match that ``fewlabel fit`` expected.
    galleries : sequence of Gallery
        Pictures to look at.
    warnings : sequence of str
        What the user must know.
    skipped : sequence of (str, str)
        Path and reason of each file that was set aside.
    settings, seconds : mapping
        Every setting, and the time of each stage.
    command : str
        The command that makes this evaluation again.
    """

    title: str
    source: str
    created: str
    version: str
    classes: Sequence[str]
    scored: MultiLabelScored
    scores: Mapping[str, float]
    expected: AccuracyEstimate | None = None
    galleries: Sequence[Gallery] = ()
    warnings: Sequence[str] = ()
    skipped: Sequence[tuple[str, str]] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    command: str = ""
