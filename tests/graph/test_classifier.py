"""The main job on features, for one label a row and for several."""

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_digits

from fewlabel.data.calibration import Temperature
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.graph import FewLabelClassifier
from fewlabel.graph.classifier import METHODS


def fit(X, y, groups=None, **settings):
    model = FewLabelClassifier(**{"alphas": (0.9,), "random_state": 0} | settings)
    return model.fit(X, y, groups=groups)


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


def test_fifty_labels_of_digits():
    X, truth = load_digits(return_X_y=True)
    labeled = np.sort(np.random.default_rng(0).permutation(len(truth))[:50])
    y = np.full(len(truth), -1)
    y[labeled] = truth[labeled]
    fitted, hidden = FewLabelClassifier(random_state=0).fit(X, y), y < 0
    check_sound(fitted, X, y)
    reached = (fitted.transduction_ == truth)[hidden].mean()
    assert reached > 0.85
    alone = FewLabelClassifier(method="supervised", random_state=0).fit(X, y)
    assert fitted.score(X[hidden], truth[hidden]) > alone.score(X[hidden], truth[hidden]) + 0.05
    assert [row.name for row in fitted.choice_.table] == list(METHODS[1:])
    assert fitted.choice_.name == fitted.method_
    assert fitted.cross_fitted_.shape == fitted.supervised_cross_fitted_.shape == (50, 10)
    assert set(fitted.settings_) == {"alpha", "class_prior", "clamp", "C"}
    # Cross-fitted predictions are about as good as new ones.
    np.testing.assert_array_equal(fitted.folds_.labeled, labeled)
    right = fitted.cross_fitted_.argmax(axis=1) == truth[labeled]
    assert abs(right[~fitted.folds_.unseen].mean() - reached) < 0.15


@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_be_fixed(method):
    X, y, truth = blobs()
    model = fit(X, y, method=method)
    assert model.method_ == method or method == "auto"
    check_sound(model, X, y)
    assert (model.transduction_ == truth).mean() > 0.8
    # Two labels on one image leave nothing to cross-fit.
    X, y = np.array([[0.0, 1], [0, 1], [1, 0]]), np.array([0, 1, -1])
    model = fit(X, y, groups=[0, 0, 1], method=method)
    assert model.method_ == ("supervised" if method == "auto" else method)
    assert model.folds_ is model.choice_ is None
    assert len(model.cross_fitted_) == 0
    check_sound(model, X, y)


def test_a_random_state_goes_on_and_a_number_does_not():
    X, y, _ = blobs(n=60)
    state = np.random.RandomState(7)
    held = [
        np.concatenate([held for _, held in fit(X, y, random_state=each).folds_.folds])
        for each in (7, 7, state, state)
    ]
    np.testing.assert_array_equal(held[0], held[1])
    assert not np.array_equal(held[2], held[3])


def test_labels_may_be_texts_and_any_numbers():
    X, y, _ = blobs()
    names = np.array(["ant", "bee", "cat", "-1"])
    reference = fit(X, y)
    other = np.where(y >= 0, 10 * y + 5, -1).astype(float)
    for given in (names[y], names[y].astype(object), other):
        model = fit(X, given)
        assert model.classes_.tolist() in (["ant", "bee", "cat"], [5, 15, 25])
        check_sound(model, X, given if given is other else given.astype(str))
        np.testing.assert_allclose(model.predict_proba(X), reference.predict_proba(X))


@pytest.mark.parametrize(
    ("settings", "least"),
    [
        ({"n_classes": 2, "n_labeled": 8}, 0.9),
        ({"n": 43 * 6, "n_classes": 43, "n_labeled": 43 * 2, "spread": 0.7}, 0.8),
        ({"n": 45, "n_labeled": 45}, 1),
    ],
)
def test_two_classes_many_classes_and_no_unlabeled_row(settings, least):
    X, y, truth = blobs(**settings)
    model = fit(X, y)
    check_sound(model, X, y)
    assert (model.transduction_ == truth).mean() >= least


def test_classes_with_one_label_cannot_be_tested():
    X, y, _ = blobs(n_labeled=3, spread=0.5)
    model = fit(X, y)
    check_sound(model, X, y)
    # Nothing can be learned about a class whose only label is held out.
    assert model.folds_.unseen.all()
    assert model.calibration_ == Temperature()
    X, y, _ = blobs()
    y[np.flatnonzero(y == 2)[1:]] = -1
    model = fit(X, y)
    check_sound(model, X, y)
    assert model.folds_.unseen.sum() == 1


def test_three_rows_rows_of_zeros_and_duplicates():
    for y in ([0, 1, -1], [0, 1, 1], [1, 0, 1]):
        X = np.array([[0.0, 1], [1, 0], [1, 0.2]])
        check_sound(fit(X, y), X, np.array(y))
    X, y, _ = blobs(n=40, n_labeled=12)
    X[10:20] = 0
    X[20:30] = X[20]
    check_sound(fit(X, y), X, y)


def test_the_order_of_unlabeled_rows_does_not_matter():
    X, y, _ = blobs(n=60)
    order = np.concatenate([np.arange(18), 18 + np.random.default_rng(1).permutation(42)])
    model, shuffled = fit(X, y), fit(X[order], y[order])
    np.testing.assert_allclose(
        shuffled.label_distributions_, model.label_distributions_[order], atol=1e-3
    )


def test_the_temperature_calibrates():
    X, y, truth = blobs(n=400, n_labeled=100, spread=4.0)
    hidden = y < 0
    proba = fit(X, y, method="graph").label_distributions_[hidden]
    right = (proba.argmax(axis=1) == truth[hidden]).mean()
    assert abs(proba.max(axis=1).mean() - right) < 0.08


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


@pytest.mark.parametrize("method", ["graph", "blend", "supervised", "auto"])
def test_it_is_saved_and_loaded_and_a_damaged_one_refused(several, method):
    X, Y, few = several
    model = FewLabelClassifier(method=method, random_state=0).fit(X[:1200], few[:1200])
    assert model.score(X[1200:], Y[1200:]) > 0.75
    arrays, meta = model.to_state()
    again = FewLabelClassifier.from_state(arrays, meta)
    expected = model.predict_proba(X[1200:])
    np.testing.assert_allclose(again.predict_proba(X[1200:]), expected, atol=1e-6)
    assert again.classes_.tolist() == [0, 1, 2]
    for change, message in (
        ({"method": "magic"}, r"candidate\.method must be one of"),
        ({"n_features": 7}, "classifier.n_features must be"),
        ({"classes": None}, "the model is damaged"),
    ):
        with pytest.raises(ModelFormatError, match=message):
            FewLabelClassifier.from_state(arrays, meta | change)
    del meta["calibration"]
    with pytest.raises(ModelFormatError, match=r"lacks classifier\.calibration"):
        FewLabelClassifier.from_state(arrays, meta)


def test_unlabeled_rows_help_beside_the_baseline(several):
    X, Y, few = several
    few = np.where(np.arange(len(Y))[:, None] < 60, few, -1)
    model = FewLabelClassifier(random_state=0).fit(X, few)
    assert model.method_ in ("graph", "blend")
    baseline = model.supervised_proba(X[60:]) >= 0.5
    assert model.score(X[60:], Y[60:]) > (baseline == Y[60:]).all(axis=1).mean() + 0.03


def test_single_labels_may_be_unknown(several):
    X, Y, few = several
    rng = np.random.default_rng(0)
    holes = np.where(rng.random(few.shape) < 0.4, -1, few)
    holes[:5, 0] = few[:5, 0]
    model = FewLabelClassifier(random_state=0).fit(X, holes)
    assert model.score(X[120:], Y[120:]) > 0.6
    known = holes >= 0
    np.testing.assert_array_equal(model.label_distributions_[known], holes[known])
    # Rows of which nothing is known do not count as right.
    assert model.score(X, np.where(few >= 0, 1 - model.predict(X), -1)) == 0


@pytest.mark.parametrize("method", ["graph", "supervised"])
def test_a_column_that_is_not_known_changes_nothing_in_the_others(several, method):
    X, _, few = several
    hidden = few.copy()
    hidden[:, 2] = -1
    whole = fit(X, few, method=method)
    with pytest.warns(UserWarning, match="label 2 is never known"):
        part = fit(X, hidden, method=method)
    if part.settings_ == whole.settings_:
        a, b = part.propagated_[:, :2], whole.propagated_[:, :2]
        np.testing.assert_allclose(a, b, atol=0.02)
    assert part.settings_["C"] in (0.1, 1.0, 10.0)
    assert not part.predict(X)[:, 2].any()
    assert len(part.notes_) == 1


def test_a_label_that_is_always_absent_is_named_also_in_a_single_row(several):
    X, Y, few = several
    few = few.copy()
    few[:, 1] = np.where(few[:, 1] >= 0, 0, -1)
    with pytest.warns(UserWarning, match="label 1"):
        model = fit(X, few)
    assert not model.predict(X)[:, 1].any()
    few[1:] = -1
    with pytest.warns(UserWarning, match="always 0"):
        model = fit(X, few)
    assert model.folds_ is None
    assert model.predict_proba(X).shape == Y.shape


@pytest.mark.parametrize("form", ["column", "table"])
def test_copies_share_a_fold(several, form):
    X, few = (np.concatenate([part[:40], part[:40]]) for part in (several[0], several[2]))
    groups = np.r_[np.arange(40), np.arange(40)]
    model = fit(X, few if form == "table" else few[:, 0], groups=groups)
    for train, held in model.folds_.folds:
        assert not set(groups[train]) & set(groups[held])
    assert len(model.folds_.folds) == 20
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        fit(X, few, groups=groups[1:])


@pytest.mark.filterwarnings("ignore:.*takes -1 for unlabeled, which leaves one class")
def test_what_cannot_be_learned_is_refused(several):
    X, _, few = several
    with pytest.raises(UsageError, match=r"one of auto, graph, blend, supervised where .* several"):
        fit(X, few, method="propagated")
    with pytest.raises(UsageError, match="at least one known label"):
        fit(X, np.full_like(few, -1))
    with pytest.raises(UsageError, match="FewLabelClassifier needs at least one labeled row"):
        fit(X, np.full(len(X), -1))
    one = r"needs labels of at least two classes. Got 1 class .*: 0"
    with pytest.raises(UsageError, match=one):
        fit(X, np.where(few[:, 0] == 0, 0, -1))


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


def test_the_test_is_not_scaled_by_itself():
    """Noise must not look better than chance for being scaled on what is tested."""
    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(12):
        X, Y = rng.normal(size=(160, 6)), (rng.random((160, 2)) < 0.5).astype(int)
        few = np.where(np.arange(160)[:, None] < 60, Y, -1)
        model = FewLabelClassifier(method="supervised", random_state=0).fit(X, few)
        right = (model.cross_fitted_ >= 0.5) == Y[:60]
        gaps.append(right.all(axis=1).mean() - 0.25)
    assert np.mean(gaps) < 0.06


def test_an_array_that_is_filled_anew_is_predicted_anew_and_the_model_pickles():
    X, y = load_digits(return_X_y=True)
    rows = (X / 16).astype(np.float32)
    model = FewLabelClassifier(method="graph", random_state=0)
    model.fit(rows, np.where(np.arange(len(y)) < 60, y, -1))
    batch = rows[100:120].copy()
    model.predict_proba(batch)
    batch[:] = rows[200:220]
    np.testing.assert_array_equal(model.predict_proba(batch), model.predict_proba(rows[200:220]))
    restored = pickle.loads(pickle.dumps(model))  # noqa: S301
    np.testing.assert_array_equal(restored.predict_proba(batch), model.predict_proba(batch))
