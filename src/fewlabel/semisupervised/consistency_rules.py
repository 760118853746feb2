"""How much each pseudo-label of a batch counts, and what a rule remembers between batches."""

import torch
from torch import Tensor

_TINY = 1e-6
_N_SIGMA = 2.0


class _WeightingRule:
    """Decide how much each pseudo-label of a batch counts."""

    def __init__(self, n_classes: int, momentum: float) -> None:
        self.n_classes = n_classes
        self.momentum = momentum
        self.state: dict[str, Tensor] = {}
        self.level = torch.zeros(())

    def weigh(self, probabilities: Tensor, rows: Tensor) -> Tensor:
        """Weigh the pseudo-labels of a batch, and learn from it."""
        raise NotImplementedError

    def load(self, state: dict[str, Tensor], device: torch.device) -> None:
        """Take up what was remembered."""
        self.state = {name: tensor.to(device) for name, tensor in state.items()}

    def _follow(self, name: str, value: Tensor) -> Tensor:
        """Move a running mean towards a value and give it."""
        self.state[name] = torch.lerp(value, self.state[name], self.momentum)
        return self.state[name]


class _FixedThreshold(_WeightingRule):
    """Count what reaches one confidence: FixMatch (Sohn et al. 2020)."""

    def __init__(self, n_classes: int, threshold: float) -> None:
        super().__init__(n_classes, 0.0)
        self.threshold = threshold
        self.level = torch.tensor(threshold)

    def weigh(self, probabilities: Tensor, rows: Tensor) -> Tensor:
        """Weigh the pseudo-labels of a batch."""
        return (probabilities.amax(dim=1) >= self.threshold).float()


class _FlexibleThresholds(_WeightingRule):
    """Let classes that are learned slowly in sooner: FlexMatch (Zhang et al. 2021)."""

    def __init__(
        self, n_classes: int, threshold: float, n_unlabeled: int, device: torch.device
    ) -> None:
        super().__init__(n_classes, 0.0)
        self.threshold = threshold
        self.state = {"remembered": torch.full((n_unlabeled,), -1, device=device)}

    def weigh(self, probabilities: Tensor, rows: Tensor) -> Tensor:
        """Weigh the pseudo-labels of a batch, and remember the confident ones."""
        remembered = self.state["remembered"]
        counts = torch.bincount(remembered + 1, minlength=self.n_classes + 1).float()
        progress = counts[1:] / counts.max().clamp_min(1)
        # The paper's convex mapping: what is half as far gets a third of the threshold.
        thresholds = self.threshold * progress / (2 - progress)
        self.level = thresholds.mean()
        confidence, classes = probabilities.max(dim=1)
        # An image keeps its last confident class, however unsure the network becomes of it.
        confident = confidence >= self.threshold
        remembered[rows] = torch.where(confident, classes, remembered[rows])
        return (confidence >= thresholds[classes]).float()


class _AdaptiveThresholds(_WeightingRule):
    """Count what is more confident than usual, class by class: FreeMatch (Wang et al. 2023)."""

    def __init__(self, n_classes: int, momentum: float, device: torch.device) -> None:
        super().__init__(n_classes, momentum)
        even = torch.full((n_classes,), 1 / n_classes, device=device)
        self.state = {"level": even[0].clone(), "class_means": even, "class_counts": even.clone()}

    def weigh(self, probabilities: Tensor, rows: Tensor) -> Tensor:
        """Weigh the pseudo-labels of a batch, after its confidence has moved the thresholds."""
        confidence, classes = probabilities.max(dim=1)
        level = self._follow("level", confidence.mean())
        means = self._follow("class_means", probabilities.mean(dim=0))
        counts = torch.bincount(classes, minlength=self.n_classes).float() / len(classes)
        self._follow("class_counts", counts)
        thresholds = level * means / means.max().clamp_min(_TINY)
        self.level = thresholds.mean()
        return (confidence >= thresholds[classes]).float()


class _GaussianWeights(_WeightingRule):
    """Count all, the less the further below the usual confidence: SoftMatch (Chen et al. 2023)."""

    def __init__(self, n_classes: int, momentum: float, device: torch.device) -> None:
        super().__init__(n_classes, momentum)
        self.state = {
            # As the paper starts: no confidence above chance, and any spread.
            "mean": torch.tensor(1 / n_classes, device=device),
            "variance": torch.tensor(1.0, device=device),
        }

    def weigh(self, probabilities: Tensor, rows: Tensor) -> Tensor:
        """Weigh the pseudo-labels of a batch, after its confidence has moved the Gaussian."""
        confidence = probabilities.amax(dim=1)
        mean = self._follow("mean", confidence.mean())
        variance = self._follow("variance", confidence.var(unbiased=len(confidence) > 1))
        self.level = mean
        # Above the mean the weight is 1: more confidence than usual must not count less.
        below = (confidence - mean).clamp_max(0)
        return torch.exp(-(below**2) * _N_SIGMA**2 / (2 * variance).clamp_min(_TINY))


class _Alignment:
    """Distribution alignment with a running mean of the predictions."""

    def __init__(self, target: Tensor, momentum: float) -> None:
        self.target = target
        self.momentum = momentum
        self.running = target.clone()

    def __call__(self, probabilities: Tensor) -> Tensor:
        """Follow the predictions of a batch, and align them."""
        self.running = torch.lerp(probabilities.mean(dim=0), self.running, self.momentum)
        scaled = probabilities * (self.target / self.running.clamp_min(_TINY))
        return scaled / scaled.sum(dim=1, keepdim=True).clamp_min(_TINY)


METHODS = ("fixmatch", "flexmatch", "freematch", "softmatch")
"""Names of the rules."""


def _make_rule(
    method: str,
    n_classes: int,
    *,
    threshold: float,
    momentum: float,
    n_unlabeled: int,
    device: torch.device,
) -> _WeightingRule:
    """Make the rule of a method."""
    if method == "fixmatch":
        return _FixedThreshold(n_classes, threshold)
    if method == "flexmatch":
        return _FlexibleThresholds(n_classes, threshold, n_unlabeled, device)
    if method == "freematch":
        return _AdaptiveThresholds(n_classes, momentum, device)
    return _GaussianWeights(n_classes, momentum, device)


def _sharpen(probabilities: Tensor, temperature: float) -> Tensor:
    """Make probabilities more certain, or less."""
    if temperature == 0:
        hard = torch.zeros_like(probabilities)
        return hard.scatter_(1, probabilities.argmax(dim=1, keepdim=True), 1)
    # The largest is 1, so that no power of a small one underflows in every class.
    scaled = (probabilities / probabilities.amax(dim=1, keepdim=True)) ** (1 / temperature)
    return scaled / scaled.sum(dim=1, keepdim=True)


def _fairness_loss(
    logits: Tensor, accepted: Tensor, class_means: Tensor, class_counts: Tensor
) -> Tensor:
    """Reward varied predictions: the fairness objective of FreeMatch (Wang et al. 2023)."""
    if not bool(accepted.any()):
        # A zero with a gradient, so that the loss is a sum in every step.
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
