"""How far to believe each pseudo-label of a batch: thresholds and weights, as pure functions.

All take and give tensors without gradients. ``K`` is the number of classes; probabilities are
those of the weakly changed images.
"""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = 1e-6


def flexible_thresholds(remembered: Tensor, n_classes: int, threshold: float) -> Tensor:
    """Lower the threshold of classes that are learned slowly: FlexMatch (Zhang et al. 2021).

    A class is as far as the number of images last believed to be of it says. While most images
    have never been believed, their number takes the place of the largest class, so that all
    thresholds rise slowly from 0.

    Parameters
    ----------
    remembered : Tensor of shape (n,), dtype int64
        Class that each unlabelled image was last given above ``threshold``; -1 for none.
    n_classes : int
        Number of classes.
    threshold : float
        Threshold of the class that is learned best.

    Returns
    -------
    Tensor of shape (K,)
        Threshold of each class, from 0 to ``threshold``.

    Examples
    --------
    >>> thresholds = flexible_thresholds(torch.tensor([0, 0, 1, -1]), 2, 0.9)
    >>> [round(threshold, 3) for threshold in thresholds.tolist()]
    [0.9, 0.3]
    """
    counts = torch.bincount(remembered + 1, minlength=n_classes + 1).float()
    progress = counts[1:] / counts.max().clamp_min(1)
    # The paper's convex mapping: what is half as far gets a third of the threshold.
    return threshold * progress / (2 - progress)


def adaptive_thresholds(level: Tensor, class_means: Tensor) -> Tensor:
    """Let confidence itself set the thresholds: FreeMatch (Wang et al. 2023).

    Parameters
    ----------
    level : Tensor
        Running mean of the confidence, a scalar.
    class_means : Tensor of shape (K,)
        Running mean of each class's probability.

    Returns
    -------
    Tensor of shape (K,)
        Threshold of each class: the level, lower for classes that are predicted less.

    Examples
    --------
    >>> adaptive_thresholds(torch.tensor(0.8), torch.tensor([0.5, 0.25])).tolist()
    [0.800000011920929, 0.4000000059604645]
    """
    return level * class_means / class_means.max().clamp_min(_TINY)


def gaussian_weights(confidence: Tensor, mean: Tensor, variance: Tensor, n_sigma: float) -> Tensor:
    """Weigh by a Gaussian cut off above its mean: SoftMatch (Chen et al. 2023).

    Parameters
    ----------
    confidence : Tensor of shape (b,)
        Largest probability of each image.
    mean, variance : Tensor
        Running mean and variance of the confidence, scalars.
    n_sigma : float
        The Gaussian is narrower than the spread of the confidence by this factor.

    Returns
    -------
    Tensor of shape (b,)
        1 at the mean and above, falling towards 0 below it.

    Examples
    --------
    >>> confidence = torch.tensor([0.5, 0.7, 0.9])
    >>> weights = gaussian_weights(confidence, torch.tensor(0.7), torch.tensor(0.04), 2.0)
    >>> [round(weight, 3) for weight in weights.tolist()]
    [0.135, 1.0, 1.0]
    """
    below = (confidence - mean).clamp_max(0)
    return torch.exp(-(below**2) * n_sigma**2 / (2 * variance).clamp_min(_TINY))


def align(probabilities: Tensor, running: Tensor, target: Tensor) -> Tensor:
    """Correct predictions for the classes that are predicted too often or too seldom.

    Distribution alignment of ReMixMatch (Berthelot et al. 2020); with a uniform target, the
    uniform alignment of SoftMatch.

    Parameters
    ----------
    probabilities : Tensor of shape (b, K)
        Class probabilities.
    running : Tensor of shape (K,)
        Running mean of the predictions.
    target : Tensor of shape (K,)
        What that mean should be.

    Returns
    -------
    Tensor of shape (b, K)
        Class probabilities.

    Examples
    --------
    >>> often = torch.tensor([0.8, 0.2])
    >>> aligned = align(torch.tensor([[0.6, 0.4]]), often, torch.tensor([0.5, 0.5]))
    >>> [round(share, 3) for share in aligned[0].tolist()]
    [0.273, 0.727]
    """
    scaled = probabilities * (target / running.clamp_min(_TINY))
    return scaled / scaled.sum(dim=1, keepdim=True).clamp_min(_TINY)


def sharpen(probabilities: Tensor, temperature: float) -> Tensor:
    """Make probabilities more certain, or less.

    Parameters
    ----------
    probabilities : Tensor of shape (b, K)
        Class probabilities.
    temperature : float
        Below 1 more certain, above 1 less; 0 gives all to the likeliest class.

    Returns
    -------
    Tensor of shape (b, K)
        Class probabilities.

    Examples
    --------
    >>> sharpen(torch.tensor([[0.75, 0.25]]), 0.5).tolist()
    [[0.8999999761581421, 0.10000000149011612]]
    """
    if temperature == 0:
        hard = torch.zeros_like(probabilities)
        return hard.scatter_(1, probabilities.argmax(dim=1, keepdim=True), 1)
    # The largest is 1, so that no power of a small one underflows in every class.
    scaled = (probabilities / probabilities.amax(dim=1, keepdim=True)) ** (1 / temperature)
    return scaled / scaled.sum(dim=1, keepdim=True)


def fairness_loss(
    logits: Tensor, accepted: Tensor, class_means: Tensor, class_counts: Tensor
) -> Tensor:
    """Reward varied predictions: the fairness objective of FreeMatch (Wang et al. 2023).

    It is the negative cross-entropy between the running mean of the predictions and that of
    this batch, each divided by how often a class was the likeliest.

    Parameters
    ----------
    logits : Tensor of shape (b, K)
        Scores of the strongly changed images, with a gradient.
    accepted : Tensor of shape (b,), dtype bool
        Images whose pseudo-label is believed.
    class_means : Tensor of shape (K,)
        Running mean of each class's probability.
    class_counts : Tensor of shape (K,)
        Running share of each class among the pseudo-labels.

    Returns
    -------
    Tensor
        Scalar; 0 where no image is accepted.

    Examples
    --------
    >>> even = torch.tensor([0.5, 0.5])
    >>> loss = fairness_loss(torch.eye(2), torch.tensor([True, True]), even, even)
    >>> round(float(loss), 3)
    -0.693
    """
    if not bool(accepted.any()):
        return logits.sum() * 0
    probabilities = torch.softmax(logits[accepted].float(), dim=1)
    predicted = torch.bincount(probabilities.argmax(dim=1), minlength=logits.shape[1])
    shares = predicted.float() / predicted.sum()
    expected = _divided(class_means, class_counts)
    found = _divided(probabilities.mean(dim=0), shares)
    return (expected * torch.log(found + 1e-12)).sum()


def _divided(means: Tensor, shares: Tensor) -> Tensor:
    """Divide by the shares, none where a class has none, and let the rest sum to 1."""
    inverse = torch.where(shares > 0, 1 / shares.clamp_min(_TINY), 0)
    quotient = means * inverse
    return quotient / quotient.sum().clamp_min(_TINY)
