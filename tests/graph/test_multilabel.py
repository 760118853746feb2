"""The main job on features, several labels a row."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from fewlabel import MultiLabelClassifier
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.evaluate import label_folds
from fewlabel.graph.graph_model import GraphModel
from fewlabel.graph.label_graph import spread_labels
from fewlabel.graph.linear_model import unit_rows
from fewlabel.graph.multilabel import rarest_labels
from fewlabel.graph.sigmoid_model import LabeledRows

NAMES = ["large", "odd", "round"]


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    # They come writer by writer, and the first ones would be labelled.
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order], y[order]
    Y = np.column_stack([y >= 5, y % 2 == 1, np.isin(y, [0, 6, 8, 9])]).astype(np.int8)
    few = np.where(np.arange(len(Y))[:, None] < 120, Y, -1).astype(np.int8)
    return X.astype(np.float32), Y, few


@pytest.fixture(scope="module", params=["graph", "blend", "supervised", "auto"])
def fitted(request, digits):
    X, _, few = digits
    model = MultiLabelClassifier(method=request.param, labels=NAMES, random_state=0)
    return model.fit(X[:1200], few[:1200])


def test_it_learns_and_is_honest_about_it(fitted, digits):
    X, Y, _ = digits
    reached = fitted.score(X[1200:], Y[1200:])
    assert reached > 0.75
    expected = (fitted.cross_fitted_ >= 0.5) == Y[fitted.folds_.labeled]
    assert abs(expected.all(axis=1).mean() - reached) < 0.12
    np.testing.assert_array_equal(fitted.label_distributions_[:120], Y[:120])


def test_it_is_saved_and_loaded(fitted, digits):
    X = digits[0]
    again = MultiLabelClassifier.from_state(*fitted.to_state())
    np.testing.assert_allclose(
        again.predict_proba(X[1200:]), fitted.predict_proba(X[1200:]), atol=1e-6
    )
    assert again.classes_.tolist() == NAMES


def test_unlabelled_rows_help_beside_the_labels_alone(digits):
    X, Y, few = digits
    few = np.where(np.arange(len(Y))[:, None] < 60, few, -1)
    model = MultiLabelClassifier(random_state=0).fit(X, few)
    assert model.method_ in ("graph", "blend")
    alone = model.supervised_proba(X[60:]) >= 0.5
    assert model.score(X[60:], Y[60:]) > (alone == Y[60:]).all(axis=1).mean() + 0.03


def test_single_labels_may_be_unknown(digits):
    X, Y, few = digits
    rng = np.random.default_rng(0)
    holes = np.where(rng.random(few.shape) < 0.4, -1, few)
    holes[:5, 0] = few[:5, 0]
    model = MultiLabelClassifier(random_state=0).fit(X, holes)
    assert model.score(X[120:], Y[120:]) > 0.6
    known = holes >= 0
    np.testing.assert_array_equal(model.label_distributions_[known], holes[known])


@pytest.mark.parametrize("method", ["graph", "supervised"])
def test_a_column_that_is_not_known_changes_nothing_in_the_others(digits, method):
    X, _, few = digits
    hidden = few.copy()
    hidden[:, 2] = -1
    settings = {"method": method, "alphas": (0.9,), "random_state": 0}
    whole = MultiLabelClassifier(**settings).fit(X, few)
    with pytest.warns(UserWarning, match="label 2 is never known"):
        part = MultiLabelClassifier(**settings).fit(X, hidden)
    if part.settings_ == whole.settings_:
        a, b = part.propagated_[:, :2], whole.propagated_[:, :2]
        np.testing.assert_allclose(a, b, atol=0.02)
    assert part.settings_["C"] in (0.1, 1.0, 10.0)


@pytest.mark.parametrize(("column", "value", "text"), [(1, 0, "odd"), (2, -1, "round")])
def test_labels_that_teach_nothing_are_named(digits, column, value, text):
    X, _, few = digits
    few = few.copy()
    few[:, column] = np.where(few[:, column] >= 0, value, -1)
    with pytest.warns(UserWarning, match=f"label {text}"):
        model = MultiLabelClassifier(labels=NAMES, random_state=0).fit(X, few)
    assert not model.predict(X)[:, column].any()
    assert len(model.notes_) == 1


def test_a_single_labelled_row_cannot_be_tested(digits):
    X, Y, _ = digits
    few = np.full_like(Y, -1)
    few[0] = Y[0]
    with pytest.warns(UserWarning, match="always 0"):
        model = MultiLabelClassifier(random_state=0).fit(X, few)
    assert model.folds_ is None
    assert model.predict_proba(X).shape == Y.shape


def test_exact_copies_share_a_fold(digits):
    X, _, few = digits
    X, few = np.concatenate([X[:40], X[:40]]), np.concatenate([few[:40], few[:40]])
    groups = np.r_[np.arange(40), np.arange(40)]
    model = MultiLabelClassifier(random_state=0).fit(X, few, groups=groups)
    for train, held in model.folds_.folds:
        assert not set(groups[train]) & set(groups[held])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "student"}, "must be one of auto, graph, blend, supervised. Got 'student'"),
        ({"n_neighbors": 0}, "'n_neighbors' parameter .* at least 1"),
        ({"alphas": (1.5,)}, "'alphas' parameter"),
        ({"labels": ["one"]}, "must name 3 labels, one a column. Got 1"),
    ],
)
def test_parameters_are_checked(digits, settings, message):
    with pytest.raises(UsageError, match=message):
        MultiLabelClassifier(**settings).fit(digits[0], digits[2])


def test_nothing_known_is_an_error(digits):
    with pytest.raises(UsageError, match="at least one known label"):
        MultiLabelClassifier().fit(digits[0], np.full_like(digits[2], -1))


def test_a_damaged_model_is_refused(fitted):
    arrays, meta = fitted.to_state()
    with pytest.raises(ModelFormatError, match="not known: upgrade"):
        MultiLabelClassifier.from_state(arrays, meta | {"method": "magic"})
    with pytest.raises(ModelFormatError, match="do not fit together"):
        MultiLabelClassifier.from_state(arrays, meta | {"n_features": 7})


def test_regressions_are_those_of_scikit_learn(digits):
    X, Y, _ = digits
    for n in (40, 300):  # fewer rows than columns, and more
        rows = LabeledRows(X[:n], Y[:n])
        found = rows.fit(np.arange(n), 1.0).predict_proba(X[1000:])
        for column in range(Y.shape[1]):
            peer = LogisticRegression(C=1.0, max_iter=5000, tol=1e-6)
            peer.fit(unit_rows(X[:n]), Y[:n, column])
            expected = peer.predict_proba(unit_rows(X[1000:]))[:, 1]
            # scikit-learn leaves the intercept free; here it is drawn to the share, a little.
            assert np.abs(found[:, column] - expected).mean() < 0.02


def test_cross_fitting_the_graph_is_fitting_it_without_the_fold(digits):
    X, _, few = digits
    graph = GraphModel(X[:600], 10, 0)
    Y = few[:600]
    folds = label_folds(rarest_labels(Y), None, 4, np.random.default_rng(0))
    _, crossed = spread_labels(graph, Y, folds, 0.9)
    train, held = folds.folds[0]
    without = np.full_like(Y, -1)
    without[train] = Y[train]
    alone, _ = spread_labels(graph, without, folds, 0.9)
    at = np.searchsorted(folds.labeled, held)
    assert np.abs(crossed[at] - alone[held]).max() < 0.05
    assert np.abs(crossed[at] - Y[held]).mean() > 0.01


def test_labels_are_spread_alike_in_one_piece_and_in_many(digits, monkeypatch):
    from fewlabel.graph import label_graph

    X, _, few = digits
    graph = GraphModel(X[:600], 10, 0)
    folds = label_folds(rarest_labels(few[:600]), None, 3, np.random.default_rng(0))
    whole = spread_labels(graph, few[:600], folds, 0.9)
    monkeypatch.setattr(label_graph, "_AT_ONCE", 1)
    pieces = spread_labels(graph, few[:600], folds, 0.9)
    for a, b in zip(whole, pieces, strict=True):
        np.testing.assert_allclose(a, b, atol=5e-3)


def test_only_what_no_other_image_shows_is_left_out_of_the_test(digits):
    X, Y, _ = digits
    few = np.full_like(Y, -1)
    few[:40] = Y[:40]
    few[:40, 0] = 1  # all are large, one has nothing but that
    few[:40, 2] = 0
    few[7] = [1, 1, 1]  # the only round one
    few[8] = [1, 0, 0]
    model = MultiLabelClassifier(random_state=0).fit(X, few)
    assert model.folds_.labeled[model.folds_.unseen].tolist() == [7]


def test_what_was_asked_for_is_marked_as_chosen(digits):
    X, _, few = digits
    for method in ("graph", "blend", "supervised"):
        model = MultiLabelClassifier(method=method, random_state=0).fit(X, few)
        assert [row.name for row in model.choice_.table if row.chosen] == [method]


def test_rows_of_which_nothing_is_known_do_not_count_as_right(digits):
    X, _, few = digits
    model = MultiLabelClassifier(random_state=0).fit(X, few)
    wrong = np.where(few >= 0, 1 - model.predict(X), -1)
    assert model.score(X, wrong) == 0


def test_the_test_is_not_scaled_by_itself():
    """Noise must not look better than chance for being scaled on what is tested."""
    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(12):
        X, Y = rng.normal(size=(160, 6)), (rng.random((160, 2)) < 0.5).astype(int)
        few = np.where(np.arange(160)[:, None] < 60, Y, -1)
        model = MultiLabelClassifier(method="supervised", random_state=0).fit(X, few)
        said = (model.cross_fitted_ >= 0.5) == Y[:60]
        gaps.append(said.all(axis=1).mean() - 0.25)
    assert np.mean(gaps) < 0.06
