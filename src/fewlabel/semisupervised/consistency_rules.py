"""The rules that believe pseudo-labels, and what each remembers from batch to batch."""

from __future__ import annotations

import torch
from torch import Tensor

from fewlabel.semisupervised.consistency_thresholds import (
    adaptive_thresholds,
    align,
    flexible_thresholds,
    gaussian_weights,
)


class BeliefRule:
    """Decide how far each pseudo-label of a batch is believed.

    Parameters
    ----------
    n_classes : int
        Number of classes, K.
    momentum : float
        Share of the old value that every running mean keeps.

    Attributes
    ----------
    state : dict of str to Tensor
        What the rule remembers; it stands in every checkpoint.
    level : Tensor
        Mean threshold of the last batch, a scalar.
    """

    def __init__(self, n_classes: int, momentum: float) -> None:
        self.n_classes = n_classes
        self.momentum = momentum
        self.state: dict[str, Tensor] = {}
        self.level = torch.zeros(())

    def weigh(self, probabilities: Tensor, rows: Tensor) -> Tensor:
        """Weigh the pseudo-labels of a batch, and learn from it.

        Parameters
        ----------
        probabilities : Tensor of shape (b, K)
            Class probabilities of the weakly changed images.
        rows : Tensor of shape (b,), dtype int64
            Which of the unlabelled images they are.

        Returns
        -------
        Tensor of shape (b,)
            From 0 (not believed) to 1.
        """
        raise NotImplementedError

    def load(self, state: dict[str, Tensor], device: torch.device) -> None:
        """Take up what was remembered.

        Parameters
        ----------
        state : dict of str to Tensor
            From ``state``.
        device : torch.device
            Where the network is.
        """
        self.state = {name: tensor.to(device) for name, tensor in state.items()}

    def _follow(self, name: str, value: Tensor) -> Tensor:
        """Move a running mean towards a value and give it."""
        self.state[name] = torch.lerp(value, self.state[name], self.momentum)
        return self.state[name]


class FixedThreshold(BeliefRule):
    """Believe what reaches one confidence: FixMatch (Sohn et al. 2020).

    Parameters
    ----------
    n_classes : int
        Number of classes.
    threshold : float
        Least confidence.
    """

    def __init__(self, n_classes: int, threshold: float) -> None:
        super().__init__(n_classes, 0.0)
        self.threshold = threshold
        self.level = torch.tensor(threshold)

    def weigh(self, probabilities: Tensor, rows: Tensor) -> Tensor:
        """Weigh the pseudo-labels of a batch.

        Parameters
        ----------
        probabilities : Tensor of shape (b, K)
            Class probabilities.
        rows : Tensor of shape (b,), dtype int64
            Not used.

        Returns
        -------
        Tensor of shape (b,)
            0 or 1.

        Examples
        --------
        >>> FixedThreshold(2, 0.8).weigh(torch.tensor([[0.9, 0.1], [0.6, 0.4]]), torch.arange(2))
        tensor([1., 0.])
        """
        return (probabilities.amax(dim=1) >= self.threshold).float()


class FlexibleThresholds(BeliefRule):
    """Believe classes that are learned slowly sooner: FlexMatch (Zhang et al. 2021).

    Parameters
    ----------
    n_classes : int
        Number of classes.
    threshold : float
        Threshold of the class that is learned best.
    n_unlabeled : int
        Number of unlabelled images.
    device : torch.device
        Where the network is.
    """

    def __init__(
        self, n_classes: int, threshold: float, n_unlabeled: int, device: torch.device
    ) -> None:
        super().__init__(n_classes, 0.0)
        self.threshold = threshold
        self.state = {"remembered": torch.full((n_unlabeled,), -1, device=device)}

    def weigh(self, probabilities: Tensor, rows: Tensor) -> Tensor:
        """Weigh the pseudo-labels of a batch, and remember the confident ones.

        Parameters
        ----------
        probabilities : Tensor of shape (b, K)
            Class probabilities.
        rows : Tensor of shape (b,), dtype int64
            Which of the unlabelled images they are.

        Returns
        -------
        Tensor of shape (b,)
            0 or 1.
        """
        remembered = self.state["remembered"]
        thresholds = flexible_thresholds(remembered, self.n_classes, self.threshold)
        self.level = thresholds.mean()
        confidence, classes = probabilities.max(dim=1)
        sure = confidence >= self.threshold
        remembered[rows] = torch.where(sure, classes, remembered[rows])
        return (confidence >= thresholds[classes]).float()


class AdaptiveThresholds(BeliefRule):
    """Believe what is surer than usual, class by class: FreeMatch (Wang et al. 2023).

    Parameters
    ----------
    n_classes : int
        Number of classes.
    momentum : float
        Share of the old value that every running mean keeps.
    device : torch.device
        Where the network is.
    """

    def __init__(self, n_classes: int, momentum: float, device: torch.device) -> None:
        super().__init__(n_classes, momentum)
        even = torch.full((n_classes,), 1 / n_classes, device=device)
        self.state = {"level": even[0].clone(), "class_means": even, "class_counts": even.clone()}

    def weigh(self, probabilities: Tensor, rows: Tensor) -> Tensor:
        """Weigh the pseudo-labels of a batch, after its confidence has moved the thresholds.

        Parameters
        ----------
        probabilities : Tensor of shape (b, K)
            Class probabilities.
        rows : Tensor of shape (b,), dtype int64
            Not used.

        Returns
        -------
        Tensor of shape (b,)
            0 or 1.
        """
        confidence, classes = probabilities.max(dim=1)
        level = self._follow("level", confidence.mean())
        means = self._follow("class_means", probabilities.mean(dim=0))
        counts = torch.bincount(classes, minlength=self.n_classes).float() / len(classes)
        self._follow("class_counts", counts)
        thresholds = adaptive_thresholds(level, means)
        self.level = thresholds.mean()
        return (confidence >= thresholds[classes]).float()


class GaussianWeights(BeliefRule):
    """Believe all, the less the further below the usual confidence: SoftMatch (Chen et al. 2023).

    Parameters
    ----------
    n_classes : int
        Number of classes.
    momentum : float
        Share of the old value that every running mean keeps.
    device : torch.device
        Where the network is.
    n_sigma : float
        The Gaussian is narrower than the spread of the confidence by this factor.
    """

    def __init__(
        self, n_classes: int, momentum: float, device: torch.device, n_sigma: float = 2.0
    ) -> None:
        super().__init__(n_classes, momentum)
        self.n_sigma = n_sigma
        self.state = {
            "mean": torch.tensor(1 / n_classes, device=device),
            "variance": torch.tensor(1.0, device=device),
        }

    def weigh(self, probabilities: Tensor, rows: Tensor) -> Tensor:
        """Weigh the pseudo-labels of a batch, after its confidence has moved the Gaussian.

        Parameters
        ----------
        probabilities : Tensor of shape (b, K)
            Class probabilities.
        rows : Tensor of shape (b,), dtype int64
            Not used.

        Returns
        -------
        Tensor of shape (b,)
            From 0 to 1.
        """
        confidence = probabilities.amax(dim=1)
        mean = self._follow("mean", confidence.mean())
        variance = self._follow("variance", confidence.var(unbiased=len(confidence) > 1))
        self.level = mean
        return gaussian_weights(confidence, mean, variance, self.n_sigma)


class Alignment:
    """Distribution alignment with a running mean of the predictions.

    Parameters
    ----------
    target : Tensor of shape (K,)
        What the mean of the predictions should be; it is also where the running mean starts.
    momentum : float
        Share of the old value that the running mean keeps.

    Attributes
    ----------
    running : Tensor of shape (K,)
        The running mean.

    Examples
    --------
    >>> even = Alignment(torch.tensor([0.5, 0.5]), momentum=0.0)
    >>> even(torch.tensor([[0.8, 0.2], [0.8, 0.2]]))[0].tolist()
    [0.5, 0.5]
    """

    def __init__(self, target: Tensor, momentum: float) -> None:
        self.target = target
        self.momentum = momentum
        self.running = target.clone()

    def __call__(self, probabilities: Tensor) -> Tensor:
        """Follow the predictions of a batch, and align them.

        Parameters
        ----------
        probabilities : Tensor of shape (b, K)
            Class probabilities.

        Returns
        -------
        Tensor of shape (b, K)
            Class probabilities.
        """
        self.running = torch.lerp(probabilities.mean(dim=0), self.running, self.momentum)
        return align(probabilities, self.running, self.target)


METHODS = ("fixmatch", "flexmatch", "freematch", "softmatch")
"""Names of the rules."""


def make_rule(
    method: str,
    n_classes: int,
    *,
    threshold: float,
    momentum: float,
    n_unlabeled: int,
    device: torch.device,
) -> BeliefRule:
    """Make the rule of a method.

    Parameters
    ----------
    method : {"fixmatch", "flexmatch", "freematch", "softmatch"}
        Name of the method.
    n_classes : int
        Number of classes.
    threshold : float
        Least confidence, for the first two.
    momentum : float
        Share of the old value that running means keep, for the last two.
    n_unlabeled : int
        Number of unlabelled images.
    device : torch.device
        Where the network is.

    Returns
    -------
    BeliefRule
        The rule, which has seen nothing yet.
    """
    if method == "fixmatch":
        return FixedThreshold(n_classes, threshold)
    if method == "flexmatch":
        return FlexibleThresholds(n_classes, threshold, n_unlabeled, device)
    if method == "freematch":
        return AdaptiveThresholds(n_classes, momentum, device)
    return GaussianWeights(n_classes, momentum, device)
