"""The explanation of one prediction, from the image to weights and how far to trust them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewlabel.errors import DataError, UsageError
from fewlabel.explain.lime import _lime_weights
from fewlabel.explain.occlusion import _occlusion_map, _rank_agreement, _segment_means, _stability
from fewlabel.explain.perturb import PredictProba, _fill_image, _Perturber, _superpixels
from fewlabel.features.pixels import Progress

LOW_AGREEMENT = 0.5
"""Below this stability, a picture shows chance more than the model."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """What speaks for a class in one image, and what against it.

    Attributes
    ----------
    image : ndarray of shape (H, W, C), dtype uint8
        The image as the model sees it.
    segments : ndarray of shape (H, W), dtype int64
        Segment of each pixel, S in all.
    active : ndarray of shape (S,), dtype bool
        Segments that differ from the fill; the others cannot matter and have weight 0.
    weights : ndarray of shape (S,), dtype float64
        What each segment adds to the probability of the class, mean of the repeats.
    repeats : ndarray of shape (r, S), dtype float64
        The same in each repeat.
    occlusion : ndarray of shape (H, W), dtype float64
        What each pixel adds, by occlusion.
    proba : ndarray of shape (K,), dtype float64
        Class probabilities of the whole image.
    target : int
        The class that is explained.
    fidelity : float
        R² of the linear model, mean of the repeats; 1 where it predicts all that the model does.
    method : {"grid", "slic"}
        How the image was divided.
    fill : str
        What stood where a segment was taken away.
    n_samples : int
        Samples of each repeat.
    notes : tuple of str
        What the reader must know.
    display : ndarray of shape (k·H, k·W, C), dtype uint8, or None
        The same image, k times as fine, for pictures.
    """

    image: NDArray[np.uint8]
    segments: NDArray[np.int64]
    active: NDArray[np.bool_]
    weights: NDArray[np.float64]
    repeats: NDArray[np.float64]
    occlusion: NDArray[np.float64]
    proba: NDArray[np.float64]
    target: int
    fidelity: float
    method: str
    fill: str
    n_samples: int
    notes: tuple[str, ...] = ()
    display: NDArray[np.uint8] | None = None

    @property
    def stability(self) -> float:
        """Mean Spearman correlation of the repeats; NaN where there is nothing to compare."""
        return _stability(self.repeats[:, self.active])

    @property
    def agreement(self) -> float:
        """Spearman correlation with occlusion over the segments."""
        occluded = _segment_means(self.occlusion, self.segments)
        return _rank_agreement(self.weights[self.active], occluded[self.active])

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation in a form that JSON takes, without the pictures.

        Returns
        -------
        dict
            Class, probability, scores, settings, and the weight of each segment.
        """
        occluded = _segment_means(self.occlusion, self.segments)
        return {
            "target": self.target,
            "probability": float(self.proba[self.target]),
            "stability": self.stability,
            "stability_kendall": _stability(self.repeats[:, self.active], "kendall"),
            "occlusion_agreement": self.agreement,
            "fidelity": self.fidelity,
            "n_segments": len(self.weights),
            "segmentation": self.method,
            "fill": self.fill,
            "n_samples": self.n_samples,
            "n_repeats": len(self.repeats),
            "weights": self.weights.tolist(),
            "occlusion": occluded.tolist(),
            "notes": list(self.notes),
        }


def explain_image(
    predict_proba: PredictProba,
    image: NDArray[np.uint8],
    *,
    target: int | None = None,
    n_samples: int = 1000,
    repeats: int = 3,
    seed: int = 0,
    method: str = "auto",
    n_segments: int | None = None,
    fill: str = "auto",
    surrogate: str = "ridge",
    batch_size: int | None = None,
    display: NDArray[np.uint8] | None = None,
    progress: Progress | None = None,
) -> Explanation:
    """Return what speaks for and against a prediction of one image.

    LIME is run several times with other samples: the mean is shown, and how far the repeats
    agree shows whether to trust it. Occlusion checks it by another method.

    Parameters
    ----------
    predict_proba : callable
        From images of shape (b, H, W, C), uint8, to class probabilities of shape (b, K).
    image : ndarray of shape (H, W) or (H, W, C), dtype uint8
        The image, C in {1, 3}, at the size at which the model works.
    target : int, optional
        The class to explain; by default the most probable one.
    n_samples : int
        Samples of each repeat.
    repeats : int
        How often LIME is run.
    seed : int
        Seed of the samples.
    method : {"auto", "grid", "slic"}
        How to divide the image; ``"auto"`` takes SLIC superpixels for photos.
    n_segments : int, optional
        About how many segments.
    fill : {"auto", "background", "mean", "blur", "gray"}
        What stands where a segment is taken away: the median color of the border, the mean of
        each segment, the image blurred, or middle gray. ``"auto"`` takes the background where
        the border has one color, else the mean.
    surrogate : {"ridge", "lasso"}
        The linear model; a lasso leaves only the strongest segments.
    batch_size : int, optional
        Images a call of ``predict_proba``.
    display : ndarray of shape (k·H, k·W, C), dtype uint8, optional
        The same image, k times as fine, for pictures.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Explanation
        Weights of the segments, and how far to trust them.

    Raises
    ------
    DataError
        If it is not an image.
    UsageError
        If a parameter is out of range.
    MissingExtraError
        If Captum is not installed.

    Examples
    --------
    >>> def left_is_bright(images):
    ...     p = images[:, :, :4].mean(axis=(1, 2, 3)) / 255
    ...     return np.stack([1 - p, p], axis=1)
    >>> image = np.full((8, 8, 1), 200, np.uint8)
    >>> found = explain_image(left_is_bright, image, target=1, n_samples=200, fill="gray")
    >>> (found.weights.reshape(4, 4) > 0.01).astype(int)
    array([[1, 1, 0, 0],
           [1, 1, 0, 0],
           [1, 1, 0, 0],
           [1, 1, 0, 0]])
    """
    image = _as_image(image)
    if repeats < 1:
        raise UsageError(f"The repeats must be at least 1. Got {repeats}.")
    divided = _superpixels(image, method=method, n_segments=n_segments)
    filled, fill = _fill_image(image, divided.segments, fill)
    perturber = _Perturber(predict_proba, image, filled, batch_size=batch_size)
    proba = perturber(np.ones((1, *image.shape[:2]), bool))[0]
    target = _as_target(target, proba)
    differs = (image != filled).any(axis=2)
    active = np.bincount(divided.segments.ravel(), differs.ravel()) > 0
    # Where a segment is the fill already, taking it away changes nothing.
    rows, fidelity = np.zeros((repeats, len(active))), np.full(repeats, np.nan)
    for repeat in range(repeats if active.any() else 0):
        rows[repeat, active], fidelity[repeat] = _lime_weights(
            _score_of(perturber, divided.segments, active, target),
            int(active.sum()),
            n_samples=n_samples,
            # Repeats differ by their samples alone: that is what stability measures.
            seed=(seed, repeat),
            surrogate=surrogate,
            batch_size=perturber.batch_size,
            progress=_counter(progress, repeat, repeats),
        )
    explanation = Explanation(
        image=image,
        segments=divided.segments,
        active=active,
        weights=rows.mean(axis=0),
        repeats=rows,
        occlusion=_occlusion_map(perturber, target),
        proba=proba,
        target=target,
        fidelity=float(fidelity.mean()),
        method=divided.method,
        fill=fill,
        n_samples=n_samples,
        notes=(divided.note,) if divided.note else (),
        display=display,
    )
    return _with_notes(explanation)


def _score_of(
    perturber: _Perturber, segments: NDArray[np.int64], active: NDArray[np.bool_], target: int
) -> Callable[[NDArray[np.bool_]], NDArray[np.float64]]:
    """Give the probability of the class as a function of the active segments that are kept."""

    def score(kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        all_kept = np.ones((len(kept), len(active)), bool)
        all_kept[:, active] = kept
        return perturber(all_kept[:, segments])[:, target]

    return score


def _as_image(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    array = np.asarray(image)
    if array.ndim == 2:
        array = array[..., None]
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in (1, 3):
        raise DataError(
            "The image must be a uint8 array of shape (H, W), (H, W, 1) or (H, W, 3). "
            f"Got {array.dtype} of shape {np.shape(image)}: read it with ImageSet.read."
        )
    return array


def _as_target(target: int | None, proba: NDArray[np.float64]) -> int:
    if target is None:
        return int(proba.argmax())
    if not 0 <= target < len(proba):
        raise UsageError(f"The target must be a class from 0 to {len(proba) - 1}. Got {target}.")
    return int(target)


def _counter(
    progress: Progress | None, repeat: int, repeats: int
) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress("LIME", repeat * total + done, repeats * total)


def _with_notes(explanation: Explanation) -> Explanation:
    notes = list(explanation.notes)
    if not explanation.weights.any():
        notes.append(
            "The prediction stays the same whatever is taken away: nothing in this image "
            "speaks for the class or against it."
        )
    elif explanation.stability < LOW_AGREEMENT:
        notes.append(
            f"The repeats hardly agree (stability {explanation.stability:.2f}): ask for more "
            "samples before trusting the picture."
        )
    elif explanation.agreement < LOW_AGREEMENT:
        notes.append(
            f"Occlusion, the second method, disagrees (rank correlation {explanation.agreement:.2f}"
            "): parts may matter together only, or the picture shows chance."
        )
    return replace(explanation, notes=tuple(notes))
