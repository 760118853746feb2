"""LIME: which segments speak for a class, by a linear model of what the classifier says."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewlabel.errors import UsageError
from fewlabel.extras import require

SURROGATES = ("ridge", "lasso")

KERNEL_WIDTH = 0.25
"""Width of the kernel on the cosine distance, as in the published method."""

# On probabilities, a lasso of the usual strength leaves nothing of what is worth less than a
# few per cent.
_STRENGTH = {"ridge": 1.0, "lasso": 0.001}

Score = Callable[[NDArray[np.bool_]], NDArray[np.floating]]
"""From segments kept, (b, d) bool, to the probability of the class, (b,)."""


def _lime_weights(
    score: Score,
    n_segments: int,
    *,
    n_samples: int = 1000,
    seed: int | tuple[int, ...] = 0,
    surrogate: str = "ridge",
    batch_size: int = 128,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[NDArray[np.float64], float]:
    """Return LIME's weights (d,) of segments and its weighted R² (Ribeiro et al., KDD 2016)."""
    if surrogate not in SURROGATES:
        raise UsageError(
            f"The surrogate must be one of {', '.join(SURROGATES)}. Got {surrogate!r}."
        )
    if n_samples < 2:
        raise UsageError(f"The n_samples must be at least 2. Got {n_samples}.")
    # Half: the variance of what is taken away is largest, and so what is learned from a sample.
    kept = np.random.default_rng(seed).random((n_samples, n_segments)) < 0.5
    # The whole image, which the explanation is about, counts most.
    kept[0] = True
    nearness = _kernel(kept)
    scores: list[NDArray[np.float64]] = []

    def forward(rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        scores.append(np.asarray(score(rows), dtype=np.float64))
        if progress is not None:
            progress(sum(map(len, scores)), n_samples)
        return scores[-1]

    weights = _by_captum(forward, kept, nearness, surrogate, batch_size)
    return weights, _fidelity(kept, np.concatenate(scores), nearness, weights)


def _kernel(kept: NDArray[np.bool_], width: float = KERNEL_WIDTH) -> NDArray[np.float64]:
    """Weigh samples (n, d) by how much of the image is left: by its cosine distance D to it."""
    distance = 1 - np.sqrt(kept.mean(axis=1))
    return np.exp(-(distance**2) / (2 * width**2))


def _by_captum(
    forward: Score,
    kept: NDArray[np.bool_],
    nearness: NDArray[np.float64],
    surrogate: str,
    batch_size: int,
) -> NDArray[np.float64]:
    require("captum", "An explanation by LIME")
    import torch
    from captum._utils.models.linear_model import SkLearnLinearModel
    from captum.attr import LimeBase

    samples = torch.from_numpy(kept.astype(np.float32))
    near = iter(nearness.tolist())

    def draw(whole: Any, **_: Any) -> Iterator[Any]:
        # Captum wants one sample at a time and makes batches of them itself.
        yield from samples.split(1)

    lime = LimeBase(
        lambda rows: torch.from_numpy(forward(rows.numpy() > 0)),
        SkLearnLinearModel(f"linear_model.{surrogate.title()}", alpha=_STRENGTH[surrogate]),
        # Captum asks for the nearness of each sample in turn.
        similarity_func=lambda *_, **__: next(near),
        perturb_func=draw,
        perturb_interpretable_space=True,
        from_interp_rep_transform=lambda sample, *_, **__: sample,
        to_interp_rep_transform=None,
    )
    # Captum draws from torch's own generator though nothing depends on it: leave it as it was.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # A class whose probability never changes leaves nothing to fit, and a lasso says so.
        warnings.filterwarnings("ignore", module=r"sklearn\.")
        found = lime.attribute(
            samples[:1], n_samples=len(samples), perturbations_per_eval=batch_size
        )
    return found.numpy().astype(np.float64).ravel()


def _fidelity(
    kept: NDArray[np.bool_],
    scores: NDArray[np.float64],
    nearness: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> float:
    def spread(values: NDArray[np.float64]) -> float:
        center = np.average(values, weights=nearness)
        return float(np.average((values - center) ** 2, weights=nearness))

    # Weighted as the fit was: far samples are not what it is about.
    total = spread(scores)
    return 1 - spread(scores - kept @ weights) / total if total > 1e-15 else float("nan")
