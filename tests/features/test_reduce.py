import numpy as np
import pytest
from sklearn.decomposition import PCA

from fewlabel.errors import ModelFormatError
from fewlabel.features.reduce import DampedPCA


def spectrum(n, d, rank, seed=0, offset=0.0):
    """Rows with a decaying spectrum, a mean of ``offset``, and a little noise."""
    rng = np.random.default_rng(seed)
    loadings = np.linalg.qr(rng.normal(size=(d, rank)))[0] * 0.85 ** np.arange(rank)
    rows = rng.normal(size=(n, rank)) @ loadings.T + 1e-3 * rng.normal(size=(n, d))
    return (rows + offset).astype(np.float32)


@pytest.mark.parametrize("d", [40, 560])
@pytest.mark.parametrize("offset", [0.0, 50.0])
def test_agrees_with_float64_pca(d, offset):
    X = spectrum(1_200, d, 20, offset=offset)
    reference = PCA(8, svd_solver="full").fit(X.astype(np.float64))
    basis = DampedPCA(8, standardize=False, random_state=0).fit(X)
    variances = reference.explained_variance_ * (len(X) - 1) / len(X)
    np.testing.assert_allclose(basis.eigenvalues_, variances, rtol=2e-3)
    overlap = np.abs((basis.components_ * reference.components_.T).sum(axis=0))
    np.testing.assert_allclose(overlap, 1, atol=1e-3)
    np.testing.assert_allclose(basis.components_.T @ basis.components_, np.eye(8), atol=1e-4)


@pytest.mark.parametrize("power", [0, 0.3, 0.5])
def test_is_the_formula(power):
    X = spectrum(60, 12, 5, offset=3)
    basis = DampedPCA(4, power=power).fit(X)
    standard = (X.astype(np.float64) - basis.mean_) / basis.scale_
    expected = standard @ basis.components_ / basis.eigenvalues_.astype(np.float64) ** power
    np.testing.assert_allclose(basis.transform(X), expected, rtol=1e-3, atol=1e-4)
    variances = basis.eigenvalues_ ** (1 - 2 * power)
    np.testing.assert_allclose(basis.transform(X).var(axis=0), variances, rtol=1e-3)


@pytest.mark.parametrize("standardize", [True, False])
def test_the_ridge_shrinks_by_what_few_rows_leave_open(standardize):
    X = spectrum(60, 12, 5, offset=3)
    plain, ridged = (DampedPCA(4, standardize=standardize, ridge=r).fit(X) for r in (0.0, 2.0))
    added = 2 * ((X - X.mean(axis=0)) / plain.scale_).var(axis=0).sum() / len(X)
    np.testing.assert_allclose(ridged.eigenvalues_ - plain.eigenvalues_, added, rtol=1e-3)


@pytest.mark.parametrize(
    ("X", "n_components"),
    [
        (np.random.default_rng(0).normal(size=(5, 30)), 4),
        (np.random.default_rng(0).normal(size=(5, 900)), 4),
        (np.random.default_rng(0).normal(size=(50, 3)), 3),
        (np.random.default_rng(0).normal(size=(50, 2)) @ np.ones((2, 9)), 1),
        (np.ones((20, 6)), 1),
        (np.full((20, 600), 0.1), 1),
        (np.arange(7.0)[None], 1),
    ],
    ids=["few-rows", "few-rows-wide", "few-features", "rank-1", "constant", "wide", "one-row"],
)
def test_fewer_components_where_there_are_fewer(X, n_components):
    model = DampedPCA(64, random_state=0)
    features = model.fit_transform(X)
    assert features.shape == (len(X), n_components)
    assert model.n_components_ == len(model.get_feature_names_out()) == n_components
    assert np.isfinite(features).all()


def test_units_and_constant_columns_do_no_harm():
    X = spectrum(500, 10, 4)
    expected = DampedPCA(3).fit_transform(X)
    units = 10.0 ** np.arange(-3, 7, dtype=np.float32)
    np.testing.assert_allclose(DampedPCA(3).fit_transform(X * units), expected, atol=1e-3)
    padded = np.hstack([X, np.full((500, 5), 1234.567, dtype=np.float32)])
    np.testing.assert_allclose(DampedPCA(3).fit_transform(padded), expected, atol=1e-4)
    np.testing.assert_array_equal(DampedPCA().fit_transform(np.full((9, 4), 0.1)), 0)


def test_deterministic_and_leaves_the_global_random_state_alone():
    X = spectrum(300, 600, 12)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two = (DampedPCA(5, random_state=3).fit(X) for _ in range(2))
    np.testing.assert_array_equal(one.transform(X), two.transform(X))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    largest = np.abs(one.components_).argmax(axis=0)
    assert (one.components_[largest, np.arange(5)] > 0).all()


def test_damaged_state():
    arrays, meta = DampedPCA(3).fit(spectrum(50, 6, 3)).to_state()
    with pytest.raises(ModelFormatError, match=r"lacks reduce\.power"):
        DampedPCA.from_state(arrays, {"n_components": 3})
    with pytest.raises(ModelFormatError, match=r"reduce.scale .* \(5,\), and is .* \(6,\)"):
        DampedPCA.from_state(arrays | {"mean": np.zeros(5)}, meta)
