import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from fewlabel.errors import UsageError
from fewlabel.graph import FewLabelClassifier
from fewlabel.graph.classifier import METHODS


def blobs(n=90, n_classes=3, n_labeled=18, seed=0, spread=1.0):
    """Overlapping groups; of each class, at least one row is labelled if there is room."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % n_classes
    X = spread * rng.normal(size=(n, 8)) + 4 * rng.normal(size=(n_classes, 8))[truth]
    y = np.full(n, -1)
    y[:n_labeled] = truth[:n_labeled]
    return X, y, truth


def check_sound(model, X, y):
    labeled = y != (-1 if np.asarray(y).dtype.kind in "if" else "-1")
    for proba in (model.predict_proba(X), model.label_distributions_, model.propagated_):
        assert proba.shape == (len(X), len(model.classes_))
        assert np.isfinite(proba).all()
        assert (proba >= 0).all()
        np.testing.assert_allclose(proba.sum(axis=1), 1)
    # Given labels are kept.
    np.testing.assert_array_equal(model.transduction_[labeled], y[labeled])
    assert model.temperature_ > 0
    assert set(model.predict(X)) <= set(model.classes_)


@pytest.fixture(scope="module")
def digits():
    X, truth = load_digits(return_X_y=True)
    y = np.full(len(truth), -1)
    y[np.random.default_rng(0).permutation(len(truth))[:50]] = 0
    y = np.where(y == 0, truth, -1)
    return X, y, truth


@pytest.fixture(scope="module")
def fitted(digits):
    return FewLabelClassifier(random_state=0).fit(digits[0], digits[1])


def test_fifty_labels_of_digits(digits, fitted):
    X, y, truth = digits
    check_sound(fitted, X, y)
    hidden = y < 0
    assert (fitted.transduction_ == truth)[hidden].mean() > 0.85
    alone = FewLabelClassifier(method="supervised", random_state=0).fit(X, y)
    assert fitted.score(X[hidden], truth[hidden]) > alone.score(X[hidden], truth[hidden]) + 0.05
    assert [row.name for row in fitted.choice_.table] == ["graph", "blend", "student", "supervised"]
    assert fitted.choice_.name == fitted.method_
    assert fitted.cross_fitted_.shape == fitted.supervised_cross_fitted_.shape == (50, 10)
    assert set(fitted.settings_) == {"alpha", "class_prior", "C"}


def test_cross_fitted_predictions_are_about_as_good_as_new_ones(digits, fitted):
    _, y, truth = digits
    labeled = np.flatnonzero(y >= 0)
    np.testing.assert_array_equal(fitted.folds_.labeled, labeled)
    seen = ~fitted.folds_.unseen
    estimate = (fitted.cross_fitted_.argmax(axis=1) == truth[labeled])[seen].mean()
    assert abs(estimate - (fitted.transduction_ == truth)[y < 0].mean()) < 0.15


@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_be_fixed(method):
    X, y, truth = blobs()
    model = FewLabelClassifier(method=method, alphas=(0.9,), random_state=0).fit(X, y)
    assert model.method_ == method or method == "auto"
    check_sound(model, X, y)
    assert (model.transduction_ == truth).mean() > 0.8


def test_the_same_seed_gives_the_same_model():
    X, y, _ = blobs(n=60)
    a, b = (FewLabelClassifier(random_state=7).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(a.label_distributions_, b.label_distributions_)
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    assert a.temperature_ == b.temperature_
    state = np.random.RandomState(7)
    c, d = (FewLabelClassifier(random_state=state).fit(X, y) for _ in range(2))
    assert not np.array_equal(
        np.concatenate([held for _, held in c.folds_.folds]),
        np.concatenate([held for _, held in d.folds_.folds]),
    )


def test_labels_may_be_texts_and_any_numbers():
    X, y, _ = blobs()
    names = np.array(["ant", "bee", "cat", "-1"])
    reference = FewLabelClassifier(alphas=(0.9,), random_state=0).fit(X, y)
    for given in (names[y], names[y].astype(object)):
        model = FewLabelClassifier(alphas=(0.9,), random_state=0).fit(X, given)
        assert model.classes_.tolist() == ["ant", "bee", "cat"]
        check_sound(model, X, given.astype(str))
        np.testing.assert_allclose(model.predict_proba(X), reference.predict_proba(X))
    other = np.where(y >= 0, 10 * y + 5, -1).astype(float)
    model = FewLabelClassifier(alphas=(0.9,), random_state=0).fit(X, other)
    assert model.classes_.tolist() == [5, 15, 25]
    np.testing.assert_allclose(model.predict_proba(X), reference.predict_proba(X))


def test_two_classes():
    X, y, truth = blobs(n_classes=2, n_labeled=8)
    model = FewLabelClassifier(random_state=0).fit(X, y)
    check_sound(model, X, y)
    assert (model.transduction_ == truth).mean() > 0.9


def test_one_class_is_refused():
    X, y, _ = blobs()
    with pytest.raises(
        UsageError, match=r"needs labels of at least two classes. Got 1 class .*: 0"
    ):
        FewLabelClassifier().fit(X, np.where(y == 0, 0, -1))


def test_no_label_is_refused():
    X, _, _ = blobs(n=10)
    with pytest.raises(UsageError, match="FewLabelClassifier needs at least one labelled row"):
        FewLabelClassifier().fit(X, np.full(10, -1))


def test_one_label_a_class():
    X, y, _ = blobs(n_labeled=3, spread=0.5)
    model = FewLabelClassifier(random_state=0).fit(X, y)
    check_sound(model, X, y)
    # Nothing can be learnt about a class whose only label is held out.
    assert model.folds_.unseen.all()
    assert model.temperature_ == 1


def test_a_class_with_one_label_beside_others():
    X, y, _ = blobs()
    only = np.flatnonzero(y == 2)[0]
    y[(y == 2) & (np.arange(len(y)) != only)] = -1
    model = FewLabelClassifier(random_state=0).fit(X, y)
    check_sound(model, X, y)
    assert model.folds_.unseen.sum() == 1


def test_all_rows_labelled():
    X, _, truth = blobs(n=45)
    model = FewLabelClassifier(random_state=0).fit(X, truth)
    check_sound(model, X, truth)
    np.testing.assert_array_equal(model.transduction_, truth)


@pytest.mark.parametrize("y", [[0, 1, -1], [0, 1, 1], [1, 0, 1]])
def test_three_rows(y):
    X = np.array([[0.0, 1], [1, 0], [1, 0.2]])
    model = FewLabelClassifier(random_state=0).fit(X, y)
    check_sound(model, X, np.array(y))


def test_two_labels_on_one_image_leave_nothing_to_cross_fit():
    X = np.array([[0.0, 1], [0, 1], [1, 0]])
    model = FewLabelClassifier(random_state=0).fit(X, [0, 1, -1], groups=[0, 0, 1])
    assert model.folds_ is None
    assert model.choice_ is None
    assert model.method_ == "supervised"
    assert len(model.cross_fitted_) == 0
    check_sound(model, X, np.array([0, 1, -1]))


@pytest.mark.parametrize("method", METHODS[1:])
def test_every_method_without_folds(method):
    X = np.array([[0.0, 1], [0, 1], [1, 0]])
    model = FewLabelClassifier(method=method).fit(X, [0, 1, -1], groups=[0, 0, 1])
    check_sound(model, X, np.array([0, 1, -1]))


def test_forty_three_classes():
    X, y, truth = blobs(n=43 * 6, n_classes=43, n_labeled=43 * 2, spread=0.7)
    model = FewLabelClassifier(alphas=(0.9,), random_state=0).fit(X, y)
    check_sound(model, X, y)
    assert model.predict_proba(X).shape == (258, 43)
    assert (model.transduction_ == truth).mean() > 0.8


def test_rows_of_zeros_and_duplicates():
    X, y, _ = blobs(n=40, n_labeled=12)
    X[10:20] = 0
    X[20:30] = X[20]
    check_sound(FewLabelClassifier(alphas=(0.9,), random_state=0).fit(X, y), X, y)


def test_duplicates_share_a_fold():
    X, y, _ = blobs(n=30, n_labeled=20)
    groups = np.arange(30) // 2
    model = FewLabelClassifier(alphas=(0.9,), random_state=0).fit(X, y, groups=groups)
    for train, held in model.folds_.folds:
        assert not set(groups[train]) & set(groups[held])
    assert len(model.folds_.folds) == 10


def test_groups_of_another_length():
    X, y, _ = blobs(n=30)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        FewLabelClassifier().fit(X, y, groups=np.zeros(29))


def test_the_order_of_unlabelled_rows_does_not_matter():
    X, y, _ = blobs(n=60)
    order = np.concatenate([np.arange(18), 18 + np.random.default_rng(1).permutation(42)])
    model = FewLabelClassifier(alphas=(0.9,), random_state=0).fit(X, y)
    shuffled = FewLabelClassifier(alphas=(0.9,), random_state=0).fit(X[order], y[order])
    np.testing.assert_allclose(
        shuffled.label_distributions_, model.label_distributions_[order], atol=1e-3
    )


def test_nothing_but_X_and_y_is_used():
    X, y, _ = blobs(n=60)
    before_X, before_y = X.copy(), y.copy()
    model = FewLabelClassifier(alphas=(0.9,), random_state=0).fit(X, y)
    np.testing.assert_array_equal(X, before_X)
    np.testing.assert_array_equal(y, before_y)
    # A list, float32 and another memory order hold the same numbers.
    for same in (X.tolist(), np.asfortranarray(X), X.astype(np.float32)):
        again = FewLabelClassifier(alphas=(0.9,), random_state=0).fit(same, y.tolist())
        np.testing.assert_allclose(again.label_distributions_, model.label_distributions_)


def test_the_temperature_calibrates():
    X, y, truth = blobs(n=400, n_labeled=100, spread=4.0)
    model = FewLabelClassifier(method="graph", alphas=(0.9,), random_state=0).fit(X, y)
    hidden = y < 0
    proba = model.label_distributions_[hidden]
    right = (proba.argmax(axis=1) == truth[hidden]).mean()
    assert abs(proba.max(axis=1).mean() - right) < 0.08


def test_predict_before_fit():
    with pytest.raises(NotFittedError):
        FewLabelClassifier().predict([[0.0]])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_not_finite(bad):
    X, y, _ = blobs(n=20)
    X[3, 2] = bad
    with pytest.raises(ValueError, match="Input X contains"):
        FewLabelClassifier().fit(X, y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "magic"}, r"'method' .* one of auto, graph, student, blend, supervised. Got"),
        ({"n_neighbors": 0}, r"'n_neighbors' .* must be an int of at least 1. Got 0"),
        ({"n_neighbors": 1.5}, r"'n_neighbors' .* Got 1.5"),
        ({"alphas": ()}, r"'alphas' .* must hold floats in \(0, 1\). Got \(\)"),
        ({"alphas": (0.5, 1.0)}, r"'alphas' .* Got \(0.5, 1.0\)"),
        ({"alphas": 0.9}, r"'alphas' .* Got 0.9"),
        ({"alphas": ("0.9",)}, r"'alphas' .* Got \('0.9',\)"),
    ],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(UsageError, match=message):
        FewLabelClassifier(**parameters).fit([[0.0], [1.0], [3.0]], [0, 1, -1])


def test_alphas_may_be_an_array():
    X, y, _ = blobs(n=30)
    model = FewLabelClassifier(alphas=np.array([0.8, 0.9])).fit(X, y)
    assert model.settings_["alpha"] in (0.8, 0.9)
