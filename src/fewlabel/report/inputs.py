"""What the reports are made of: plain records that the pipeline fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from fewlabel.evaluate import AccuracyEstimate, CandidateScore, LearningCurve
from fewlabel.semisupervised.history import TrainingHistory

SOURCES = ("label", "propagated", "model")


class LedgerRow(TypedDict):
    """How many labels one method assumed."""

    method: str
    count: int
    mean_confidence: float


@dataclass(frozen=True)
class GalleryItem:
    """One picture of a gallery.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, C), uint8
        The image, C in {1, 3}. It is reduced to 160 pixels.
    name : str
        Its path or number.
    label : str
        What is said about it in bold: the label given or predicted.
    confidence : float, optional
        Probability of that label, between 0 and 1.
    note : str
        A few words more, such as ``"propagated: coat"``.
    beside : ndarray of shape (H, W) or (H, W, C), uint8, optional
        A second image beside the first, such as an explanation of it.
    """

    image: NDArray[np.uint8]
    name: str
    label: str
    confidence: float | None = None
    note: str = ""
    beside: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Gallery:
    """A row of pictures under one heading.

    Parameters
    ----------
    title : str
        Heading.
    caption : str
        One or two sentences: what is shown, and what to look for.
    items : sequence of GalleryItem
        The pictures. A gallery without any is left out.
    """

    title: str
    caption: str
    items: Sequence[GalleryItem]


@dataclass(frozen=True)
class ReportInputs:
    """All that ``report.html`` of a run shows.

    Parameters
    ----------
    title : str
        Heading, such as the name of the folder.
    source : str
        What the user gave.
    created : str
        Time in ISO form.
    version : str
        Version of fewlabel.
    n_images : int
        Images used.
    n_labeled : int
        Images with a label.
    classes : sequence of str
        The K class names, in the order of the probability columns.
    estimate : AccuracyEstimate
        Accuracy of the chosen model, from the labelled images by cross-fitting.
    labeled_y : ndarray of shape (l,), int
        Classes of the labelled images that could be tested, at most ``n_labeled``.
    labeled_proba : ndarray of shape (l, K), float
        Their cross-fitted probabilities.
    predictions : ndarray of shape (n_images,), int
        Predicted classes; the given ones where ``origin`` is ``"label"``.
    confidence : ndarray of shape (n_images,), float
        Probability of each prediction.
    origin : ndarray of shape (n_images,), str
        Where each prediction comes from: ``"label"``, ``"propagated"`` or ``"model"``.
    candidates : sequence of CandidateScore
        The methods that were tried: the table of ``choose_candidate``.
    n_se : float
        By how many standard errors the method was chosen: ``Choice.n_se``.
    supervised_name : str
        Which candidate is the baseline on the labels alone; ``""`` if none is.
    labels_only : sequence of str
        Other candidates that learned nothing from the unlabelled images.
    audit : AccuracyEstimate, optional
        Accuracy on a random sample that was labelled for this purpose: it takes the headline.
    test_y : ndarray of shape (n_test,), int, optional
        True classes of images whose labels the method never saw.
    test_proba : ndarray of shape (n_test, K), float, optional
        Their probabilities.
    map_xy : ndarray of shape (m, 2), float, optional
        Places of some images on a plane where like images are neighbours.
    map_index : ndarray of shape (m,), int, optional
        Which images they are.
    galleries : sequence of Gallery
        Pictures to look at.
    explained : sequence of Gallery
        Explained predictions, each picture with its explanation beside it.
    warnings : sequence of str
        What the user must know.
    skipped : sequence of (str, str)
        Path and reason of each file that was set aside.
    n_duplicates : int
        Exact duplicates among the images.
    ledger_summary : sequence of LedgerRow
        Labels that were assumed, by method.
    next_steps : sequence of str
        What to do next, a sentence or a command each; text between backquotes is set as code.
    settings : mapping of str to object
        Every setting of the run.
    seconds : mapping of str to float
        Time of each stage.
    feature_reason : str
        Which features were used, and why.
    peak_rss_mb : float, optional
        Peak memory in megabytes.
    command : str
        The command that makes this run again.
    curve : LearningCurve, optional
        What more labels would bring.
    no_curve : str
        Why there is no ``curve``.
    training : TrainingHistory, optional
        What happened while networks were trained.
    accepted : sequence of Gallery
        Pseudo-labels that they were trained on, round by round.

    Raises
    ------
    ValueError
        If the arrays do not fit together.
    """

    title: str
    source: str
    created: str
    version: str
    n_images: int
    n_labeled: int
    classes: Sequence[str]
    estimate: AccuracyEstimate
    labeled_y: NDArray[np.integer[Any]]
    labeled_proba: NDArray[np.floating[Any]]
    predictions: NDArray[np.integer[Any]]
    confidence: NDArray[np.floating[Any]]
    origin: NDArray[Any]
    candidates: Sequence[CandidateScore] = ()
    n_se: float = 2.0
    supervised_name: str = ""
    labels_only: Sequence[str] = ()
    audit: AccuracyEstimate | None = None
    test_y: NDArray[np.integer[Any]] | None = None
    test_proba: NDArray[np.floating[Any]] | None = None
    map_xy: NDArray[np.floating[Any]] | None = None
    map_index: NDArray[np.integer[Any]] | None = None
    galleries: Sequence[Gallery] = ()
    explained: Sequence[Gallery] = ()
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
    curve: LearningCurve | None = None
    no_curve: str = ""
    training: TrainingHistory | None = None
    accepted: Sequence[Gallery] = ()

    def __post_init__(self) -> None:
        """Check that the arrays fit together."""
        n_classes = len(self.classes)
        _check_scored("labeled", self.labeled_y, self.labeled_proba, n_classes)
        if (self.test_y is None) != (self.test_proba is None):
            raise ValueError("test_y and test_proba go together: give both, or neither.")
        if self.test_y is not None and self.test_proba is not None:
            _check_scored("test", self.test_y, self.test_proba, n_classes)
        for name in ("predictions", "confidence", "origin"):
            if np.shape(getattr(self, name)) != (self.n_images,):
                raise ValueError(
                    f"The {name} of a report must have one entry for each of the {self.n_images} "
                    f"images. Got shape {np.shape(getattr(self, name))} instead."
                )
        unknown = sorted(set(np.unique(self.origin).tolist()) - set(SOURCES))
        if unknown:
            raise ValueError(f"The origin must be one of {', '.join(SOURCES)}. Got {unknown[0]!r}.")
        names = [candidate.name for candidate in self.candidates]
        if self.supervised_name and self.supervised_name not in names:
            raise ValueError(
                f"The supervised_name must be one of the candidates {', '.join(names)}. "
                f"Got {self.supervised_name!r}."
            )
        if (self.map_xy is None) != (self.map_index is None):
            raise ValueError("map_xy and map_index go together: give both, or neither.")
        if self.map_xy is not None and self.map_index is not None:
            shape = (len(self.map_index), 2)
            if self.map_xy.shape != shape:
                raise ValueError(f"map_xy must be {shape} as map_index. Got {self.map_xy.shape}.")


@dataclass(frozen=True)
class EvaluationInputs:
    """All that the report of ``fewlabel evaluate`` shows.

    Parameters
    ----------
    title : str
        Heading.
    source : str
        What the user gave.
    created : str
        Time in ISO form.
    version : str
        Version of fewlabel.
    classes : sequence of str
        The K class names, in the order of the probability columns.
    y : ndarray of shape (n,), int
        True classes.
    proba : ndarray of shape (n, K), float
        Probabilities.
    names : sequence of str
        Path or number of each image, n in all.
    expected : AccuracyEstimate, optional
        The accuracy that ``fewlabel fit`` expected, to be compared with.
    galleries : sequence of Gallery
        Pictures to look at: the worst mistakes above all.
    warnings : sequence of str
        What the user must know.
    skipped : sequence of (str, str)
        Path and reason of each file that was set aside.
    settings : mapping of str to object
        Every setting of the evaluation.
    seconds : mapping of str to float
        Time of each stage.
    command : str
        The command that makes this evaluation again.

    Raises
    ------
    ValueError
        If the arrays do not fit together.
    """

    title: str
    source: str
    created: str
    version: str
    classes: Sequence[str]
    y: NDArray[np.integer[Any]]
    proba: NDArray[np.floating[Any]]
    names: Sequence[str]
    expected: AccuracyEstimate | None = None
    galleries: Sequence[Gallery] = ()
    warnings: Sequence[str] = ()
    skipped: Sequence[tuple[str, str]] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    command: str = ""

    def __post_init__(self) -> None:
        """Check that the arrays fit together."""
        _check_scored("evaluated", self.y, self.proba, len(self.classes))
        if len(self.names) != len(self.y):
            raise ValueError(
                f"A name is needed for each of the {len(self.y)} images. Got {len(self.names)}."
            )


def _check_scored(
    which: str, y: NDArray[np.integer[Any]], proba: NDArray[np.floating[Any]], n_classes: int
) -> None:
    if np.shape(proba) != (len(y), n_classes) or len(y) == 0:
        raise ValueError(
            f"The probabilities of the {which} images must have shape ({len(y)}, {n_classes}), "
            f"at least one row. Got {np.shape(proba)} instead."
        )
    if not np.isfinite(proba).all():
        raise ValueError(f"The probabilities of the {which} images must be finite numbers.")
    if np.min(y) < 0 or np.max(y) >= n_classes:
        raise ValueError(
            f"The classes of the {which} images must lie between 0 and {n_classes - 1}; "
            "leave unlabelled images (-1) out."
        )
