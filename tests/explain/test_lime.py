import numpy as np
import pytest
import torch

from fewlabel.errors import MissingExtraError, UsageError
from fewlabel.explain.lime import _kernel, _lime_weights


@pytest.mark.parametrize("surrogate", ["ridge", "lasso"])
def test_the_weights_of_a_linear_model_are_found(surrogate):
    true = np.array([0.3, -0.2, 0.0, 0.1])
    settings = {"n_samples": 500, "surrogate": surrogate}
    weights, fidelity = _lime_weights(lambda kept: 0.4 + kept @ true, 4, **settings)
    np.testing.assert_allclose(weights, true, atol=0.01)
    assert fidelity > 0.99
    # What is not linear has a lower fidelity.
    assert _lime_weights(lambda kept: kept.sum(axis=1) % 2, 6, n_samples=500)[1] < 0.1
    assert np.isnan(_lime_weights(lambda kept: np.full(len(kept), 0.7), 5, n_samples=50)[1])


def test_the_seed_decides_and_the_generator_of_torch_is_left_alone():
    def noisy(kept):
        return (kept @ np.linspace(-1, 1, 8)) ** 2

    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    weights = [_lime_weights(noisy, 8, n_samples=60, seed=seed)[0] for seed in (0, 0, 1)]
    assert torch.equal(torch.rand(1), expected)
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_one_call_a_batch_and_the_whole_image_first():
    sizes, done = [], []

    def score(kept):
        assert sizes or kept[0].all()
        sizes.append(len(kept))
        return kept[:, 0].astype(float)

    progress = {"progress": lambda d, total: done.append((d, total))}
    _lime_weights(score, 3, n_samples=25, batch_size=10, **progress)
    assert sizes == [10, 10, 5]
    assert done == [(10, 25), (20, 25), (25, 25)]


def test_it_agrees_with_captums_own_lime():
    from captum._utils.models.linear_model import SkLearnRidge
    from captum.attr import Lime

    true = torch.tensor([0.5, -0.3, 0.2, 0.0, 0.1, -0.6])
    torch.manual_seed(0)
    lime = Lime(lambda rows: (rows @ true).sigmoid(), SkLearnRidge(alpha=1.0))
    expected = lime.attribute(torch.ones(1, 6), n_samples=2000, perturbations_per_eval=100)
    weights, _ = _lime_weights(
        lambda kept: (torch.from_numpy(kept).float() @ true).sigmoid().numpy(), 6, n_samples=2000
    )
    np.testing.assert_allclose(weights, expected.numpy().ravel(), atol=0.01)
    # The kernel of the published method.
    kept = np.array([[1, 1, 1, 1], [1, 0, 0, 0]], bool)
    np.testing.assert_allclose(_kernel(kept), [1, np.exp(-0.25 / (2 * 0.25**2))])


def test_mistakes_are_named(monkeypatch):
    with pytest.raises(UsageError, match=r"surrogate must be one of ridge, lasso. Got 'tree'"):
        _lime_weights(lambda kept: kept[:, 0], 2, surrogate="tree")
    with pytest.raises(UsageError, match=r"n_samples must be at least 2. Got 1"):
        _lime_weights(lambda kept: kept[:, 0], 2, n_samples=1)
    monkeypatch.setattr("fewlabel.extras.is_installed", lambda name: False)
    with pytest.raises(MissingExtraError, match=r"LIME needs the package 'captum'.*\[explain\]"):
        _lime_weights(lambda kept: kept[:, 0], 2)
