"""Rules that remember: what they learn from a batch, and that it survives a checkpoint."""

import pytest
import torch

from fewlabel.semisupervised.consistency_rules import METHODS, Alignment, make_rule

CPU = torch.device("cpu")


def rule(method, momentum=0.5, threshold=0.8):
    return make_rule(method, 3, threshold=threshold, momentum=momentum, n_unlabeled=50, device=CPU)


def batch(seed=0, n=30, sharpness=3.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(sharpness * torch.randn(n, 3, generator=generator), dim=1)


ROWS = torch.arange(30)


@pytest.mark.parametrize("method", METHODS)
def test_weights_lie_from_0_to_1_and_do_not_fall_with_confidence(method):
    judge = rule(method)
    for seed in range(5):
        weights = judge.weigh(batch(seed), ROWS)
        assert weights.min() >= 0
        assert weights.max() == 1
        # Within a class, what is surer is not believed less.
        classes, confidence = batch(seed).argmax(1), batch(seed).amax(1)
        for code in range(3):
            order = confidence[classes == code].argsort()
            assert (weights[classes == code][order].diff() >= 0).all()
    assert 0 < float(judge.level) <= 1


@pytest.mark.parametrize("method", METHODS)
def test_what_a_rule_remembers_can_be_handed_on(method):
    first, second = rule(method), rule(method)
    for seed in range(3):
        first.weigh(batch(seed), ROWS + 20 * (seed > 0))
    second.load({name: tensor.clone() for name, tensor in first.state.items()}, CPU)
    fresh = rule(method).weigh(batch(9, sharpness=1.0), ROWS)
    known = first.weigh(batch(9, sharpness=1.0), ROWS)
    assert torch.equal(known, second.weigh(batch(9, sharpness=1.0), ROWS))
    assert torch.equal(known, fresh) == (method == "fixmatch")


def test_flexmatch_remembers_the_last_confident_class_of_an_image():
    judge = rule("flexmatch")
    sure, unsure = torch.tensor([[0.9, 0.1, 0.0]]), torch.tensor([[0.1, 0.6, 0.3]])
    judge.weigh(sure, torch.tensor([7]))
    judge.weigh(unsure, torch.tensor([7]))
    assert judge.state["remembered"][7] == 0
    judge.weigh(sure.flip(1), torch.tensor([7]))
    assert judge.state["remembered"][7] == 2
    assert (judge.state["remembered"] == -1).sum() == 49


def test_flexmatch_believes_a_lagging_class_below_the_fixed_threshold():
    judge = rule("flexmatch")
    judge.state["remembered"][:40] = 0
    judge.state["remembered"][40:44] = 1
    weights = judge.weigh(torch.tensor([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1]]), torch.tensor([1, 2]))
    assert weights.tolist() == [0, 1]


@pytest.mark.parametrize("method", ["freematch", "softmatch"])
def test_the_level_follows_the_confidence(method):
    judge = rule(method, momentum=0.9)
    levels = []
    for _ in range(60):
        judge.weigh(batch(sharpness=6.0), ROWS)
        levels.append(float(judge.state["level" if method == "freematch" else "mean"]))
    assert levels[0] == pytest.approx(0.9 / 3 + 0.1 * batch(sharpness=6.0).amax(1).mean().item())
    assert levels == sorted(levels)
    assert levels[-1] == pytest.approx(batch(sharpness=6.0).amax(1).mean().item(), abs=0.01)


def test_alignment_evens_out_predictions_that_lean_to_one_class():
    leaning = batch() * torch.tensor([5.0, 1.0, 1.0])
    leaning /= leaning.sum(dim=1, keepdim=True)
    alignment = Alignment(torch.full((3,), 1 / 3), momentum=0.5)
    for _ in range(20):
        aligned = alignment(leaning)
    counts = [torch.bincount(p.argmax(1), minlength=3).max() for p in (leaning, aligned)]
    assert counts[1] < counts[0]
    torch.testing.assert_close(alignment.running, leaning.mean(0), rtol=1e-3, atol=1e-3)
