import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.graph import FewLabelClassifier
from fewlabel.graph.classifier import METHODS


def blobs(n=90, n_classes=3, n_labeled=18, seed=0, spread=1.0):
    """Overlapping groups; of each class, at least one row is labeled if there is room."""
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
    assert model.calibration_.temperature > 0
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
    assert [row.name for row in fitted.choice_.table] == [
        "graph",
        "blend",
        "propagated",
        "supervised",
    ]
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
    assert a.calibration_ == b.calibration_
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
    with pytest.raises(UsageError, match="FewLabelClassifier needs at least one labeled row"):
        FewLabelClassifier().fit(X, np.full(10, -1))


def test_one_label_a_class():
    X, y, _ = blobs(n_labeled=3, spread=0.5)
    model = FewLabelClassifier(random_state=0).fit(X, y)
    check_sound(model, X, y)
    # Nothing can be learnt about a class whose only label is held out.
    assert model.folds_.unseen.all()
    assert model.calibration_.temperature == 1


def test_a_class_with_one_label_beside_others():
    X, y, _ = blobs()
    only = np.flatnonzero(y == 2)[0]
    y[(y == 2) & (np.arange(len(y)) != only)] = -1
    model = FewLabelClassifier(random_state=0).fit(X, y)
    check_sound(model, X, y)
    assert model.folds_.unseen.sum() == 1


def test_all_rows_labeled():
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


def test_the_order_of_unlabeled_rows_does_not_matter():
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
        (
            {"method": "magic"},
            r"'method' .* one of auto, graph, blend, propagated, supervised. Got",
        ),
        ({"n_neighbors": 0}, r"'n_neighbors' .* must be an int of at least 1. Got 0"),
        ({"n_neighbors": 1.5}, r"'n_neighbors' .* Got 1.5"),
        ({"alphas": ()}, r"'alphas' .* a list, each entry a float in \(0, 1\).* Got \(\)"),
        ({"alphas": (0.5, 1.0)}, r"'alphas' .* Got \(0.5, 1.0\)"),
        ({"alphas": 0.9}, r"'alphas' .* Got 0.9"),
        ({"alphas": ("0.9",)}, r"'alphas' .* Got \('0.9',\)"),
    ],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(UsageError, match=message):
        FewLabelClassifier(**parameters).fit([[0.0], [1.0], [3.0]], [0, 1, -1])


# Several labels a row


@pytest.fixture(scope="module")
def several():
    X, y = load_digits(return_X_y=True)
    # They come writer by writer, and the first ones would be labeled.
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order], y[order]
    Y = np.column_stack([y >= 5, y % 2 == 1, np.isin(y, [0, 6, 8, 9])]).astype(np.int8)
    few = np.where(np.arange(len(Y))[:, None] < 120, Y, -1).astype(np.int8)
    return X.astype(np.float32), Y, few


@pytest.fixture(scope="module", params=["graph", "blend", "supervised", "auto"])
def fitted_several(request, several):
    X, _, few = several
    model = FewLabelClassifier(method=request.param, random_state=0)
    return model.fit(X[:1200], few[:1200])


def test_it_learns_and_is_honest_about_it(fitted_several, several):
    X, Y, _ = several
    reached = fitted_several.score(X[1200:], Y[1200:])
    assert reached > 0.75
    expected = (fitted_several.cross_fitted_ >= 0.5) == Y[fitted_several.folds_.labeled]
    assert abs(expected.all(axis=1).mean() - reached) < 0.12
    np.testing.assert_array_equal(fitted_several.label_distributions_[:120], Y[:120])


def test_it_is_saved_and_loaded(fitted_several, several):
    X = several[0]
    again = FewLabelClassifier.from_state(*fitted_several.to_state())
    np.testing.assert_allclose(
        again.predict_proba(X[1200:]), fitted_several.predict_proba(X[1200:]), atol=1e-6
    )
    assert again.classes_.tolist() == [0, 1, 2]


def test_unlabeled_rows_help_beside_the_labels_alone(several):
    X, Y, few = several
    few = np.where(np.arange(len(Y))[:, None] < 60, few, -1)
    model = FewLabelClassifier(random_state=0).fit(X, few)
    assert model.method_ in ("graph", "blend")
    alone = model.supervised_proba(X[60:]) >= 0.5
    assert model.score(X[60:], Y[60:]) > (alone == Y[60:]).all(axis=1).mean() + 0.03


def test_single_labels_may_be_unknown(several):
    X, Y, few = several
    rng = np.random.default_rng(0)
    holes = np.where(rng.random(few.shape) < 0.4, -1, few)
    holes[:5, 0] = few[:5, 0]
    model = FewLabelClassifier(random_state=0).fit(X, holes)
    assert model.score(X[120:], Y[120:]) > 0.6
    known = holes >= 0
    np.testing.assert_array_equal(model.label_distributions_[known], holes[known])


@pytest.mark.parametrize("method", ["graph", "supervised"])
def test_a_column_that_is_not_known_changes_nothing_in_the_others(several, method):
    X, _, few = several
    hidden = few.copy()
    hidden[:, 2] = -1
    settings = {"method": method, "alphas": (0.9,), "random_state": 0}
    whole = FewLabelClassifier(**settings).fit(X, few)
    with pytest.warns(UserWarning, match="label 2 is never known"):
        part = FewLabelClassifier(**settings).fit(X, hidden)
    if part.settings_ == whole.settings_:
        a, b = part.propagated_[:, :2], whole.propagated_[:, :2]
        np.testing.assert_allclose(a, b, atol=0.02)
    assert part.settings_["C"] in (0.1, 1.0, 10.0)


@pytest.mark.parametrize(("column", "value", "text"), [(1, 0, "1"), (2, -1, "2")])
def test_labels_that_teach_nothing_are_named(several, column, value, text):
    X, _, few = several
    few = few.copy()
    few[:, column] = np.where(few[:, column] >= 0, value, -1)
    with pytest.warns(UserWarning, match=f"label {text}"):
        model = FewLabelClassifier(random_state=0).fit(X, few)
    assert not model.predict(X)[:, column].any()
    assert len(model.notes_) == 1


def test_a_single_labeled_row_cannot_be_tested(several):
    X, Y, _ = several
    few = np.full_like(Y, -1)
    few[0] = Y[0]
    with pytest.warns(UserWarning, match="always 0"):
        model = FewLabelClassifier(random_state=0).fit(X, few)
    assert model.folds_ is None
    assert model.predict_proba(X).shape == Y.shape


def test_exact_copies_share_a_fold(several):
    X, _, few = several
    X, few = np.concatenate([X[:40], X[:40]]), np.concatenate([few[:40], few[:40]])
    groups = np.r_[np.arange(40), np.arange(40)]
    model = FewLabelClassifier(random_state=0).fit(X, few, groups=groups)
    for train, held in model.folds_.folds:
        assert not set(groups[train]) & set(groups[held])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "propagated"}, "one of auto, graph, blend, supervised where .* several"),
        ({"n_neighbors": 0}, "'n_neighbors' parameter .* at least 1"),
        ({"alphas": (1.5,)}, "'alphas' parameter"),
    ],
)
def test_parameters_are_checked(several, settings, message):
    with pytest.raises(UsageError, match=message):
        FewLabelClassifier(**settings).fit(several[0], several[2])


def test_nothing_known_is_an_error(several):
    with pytest.raises(UsageError, match="at least one known label"):
        FewLabelClassifier().fit(several[0], np.full_like(several[2], -1))


def test_a_damaged_model_is_refused(fitted_several):
    arrays, meta = fitted_several.to_state()
    with pytest.raises(ModelFormatError, match="not known: upgrade"):
        FewLabelClassifier.from_state(arrays, meta | {"method": "magic"})
    with pytest.raises(ModelFormatError, match="do not fit together"):
        FewLabelClassifier.from_state(arrays, meta | {"n_features": 7})


def test_only_what_no_other_image_shows_is_left_out_of_the_test(several):
    X, Y, _ = several
    few = np.full_like(Y, -1)
    few[:40] = Y[:40]
    few[:40, 0] = 1  # all are large, one has nothing but that
    few[:40, 2] = 0
    few[7] = [1, 1, 1]  # the only round one
    few[8] = [1, 0, 0]
    model = FewLabelClassifier(random_state=0).fit(X, few)
    assert model.folds_.labeled[model.folds_.unseen].tolist() == [7]


def test_what_was_asked_for_is_marked_as_chosen(several):
    X, _, few = several
    for method in ("graph", "blend", "supervised"):
        model = FewLabelClassifier(method=method, random_state=0).fit(X, few)
        assert [row.name for row in model.choice_.table if row.chosen] == [method]


def test_rows_of_which_nothing_is_known_do_not_count_as_right(several):
    X, _, few = several
    model = FewLabelClassifier(random_state=0).fit(X, few)
    wrong = np.where(few >= 0, 1 - model.predict(X), -1)
    assert model.score(X, wrong) == 0


def test_the_test_is_not_scaled_by_itself():
    """Noise must not look better than chance for being scaled on what is tested."""
    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(12):
        X, Y = rng.normal(size=(160, 6)), (rng.random((160, 2)) < 0.5).astype(int)
        few = np.where(np.arange(160)[:, None] < 60, Y, -1)
        model = FewLabelClassifier(method="supervised", random_state=0).fit(X, few)
        said = (model.cross_fitted_ >= 0.5) == Y[:60]
        gaps.append(said.all(axis=1).mean() - 0.25)
    assert np.mean(gaps) < 0.06
