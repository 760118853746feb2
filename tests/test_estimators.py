"""One suite over every public estimator: scikit-learn's contract, pipelines, grid search."""

import contextlib
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_digits
from sklearn.exceptions import DataConversionWarning, SkipTestWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import fewlabel
from fewlabel import (
    BinaryExperts,
    ClusterDistances,
    ClusterPropagation,
    DampedPCA,
    FewLabelClassifier,
    FewLabelImageClassifier,
    GraphPropagation,
    KMeans,
    NetworkClassifier,
    PatchDictionary,
    Representatives,
    SelfTraining,
    TeacherStudent,
)
from fewlabel.errors import UsageError

MINUS_ONE = {
    "check_classifiers_classes": "the check calls its classes -1 and 1; here -1 is unlabeled"
}
NETWORK = NetworkClassifier(options={"widths": (32,)}, n_epochs=3, min_steps=30)
# Quick settings; every parameter that they leave out has its default.
ESTIMATORS = [
    PatchDictionary(n_filters=6, n_patches=300),
    DampedPCA(),
    DampedPCA(2, power=0.5, random_state=0),
    ClusterDistances(n_clusters=3),
    ClusterDistances(n_clusters=3, spherical=True),
    KMeans(n_clusters=3),
    KMeans(n_clusters=3, spherical=True),
    Representatives(),
    ClusterPropagation(n_clusters=20),
    GraphPropagation(),
    GraphPropagation(method="poisson"),
    FewLabelClassifier(alphas=(0.9,)),
    NETWORK,
    SelfTraining(max_rounds=1, n_folds=2),
    BinaryExperts(NETWORK, max_rounds=1, retrain_steps=10, expert_epochs=1),
    TeacherStudent(NETWORK, n_members=2, max_rounds=1),
]
# What takes no rows of features: tests/runs/test_image_classifier.py has its checks.
OF_IMAGES = [FewLabelImageClassifier()]


GRAPH = GraphPropagation(random_state=0)
WEIGHTS = dict.fromkeys(
    ("check_sample_weight_equivalence_on_dense_data", "check_sample_weights_invariance"),
    "which rows share a batch depends on their number, so a weight of 2 and a row that stands "
    "twice train differently",
)


def expected_failed_checks(estimator):
    weights = WEIGHTS if isinstance(estimator, NetworkClassifier) else {}
    return MINUS_ONE | weights if is_classifier(estimator) else {}


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failed_checks)
def test_scikit_learns_contract(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        check(estimator)


def test_every_public_estimator_is_checked():
    public = {name for name in fewlabel.__all__ if hasattr(getattr(fewlabel, name), "get_params")}
    assert public == {type(estimator).__name__ for estimator in ESTIMATORS + OF_IMAGES}


@pytest.mark.parametrize("kind", sorted({type(e) for e in ESTIMATORS}, key=lambda k: k.__name__))
def test_a_wrong_parameter_is_named(kind, table):
    for name in getattr(kind, "_parameter_constraints", {}):
        message = f"The '{name}' parameter of {kind.__name__} must be .* Got <object"
        with pytest.raises(UsageError, match=message):
            kind().set_params(**{name: object()}).fit(*table)


@pytest.mark.parametrize(
    ("kind", "name", "values", "expected"),
    [
        (KMeans, "n_clusters", [0], "an int of at least 1"),
        (KMeans, "tol", [-1], "a number of at least 0"),
        (KMeans, "init", ["far"], r"one of k-means\+\+, random or an array-like"),
        (Representatives, "n_representatives", [0, 2.5, "all"], "an int of at least 1"),
        (DampedPCA, "n_components", [0, 2.5], "an int of at least 1"),
        (DampedPCA, "power", [0.6, "big"], r"a float in \[0, 0.5\]"),
        (PatchDictionary, "n_filters", [0], "an int of at least 1"),
        (PatchDictionary, "stride", [0], "an int of at least 1 or None"),
        (PatchDictionary, "threshold", [-0.1], r"a float in \[0, 10\]"),
        (PatchDictionary, "power", [np.nan], ""),
        (PatchDictionary, "n_components", [0], ""),
        (ClusterPropagation, "n_clusters", [0, 2.5], "an int of at least 1"),
        (ClusterPropagation, "percentile", [0, 101, "all"], r"a float in \(0, 100\]"),
        (GraphPropagation, "n_neighbors", [0], "an int of at least 1"),
        (GraphPropagation, "alpha", [0, 1], r"a float in \(0, 1\)"),
        (GraphPropagation, "method", ["laplace"], "one of spreading, poisson"),
        (GraphPropagation, "class_prior", [None], "one of uniform, labels"),
        (FewLabelClassifier, "method", ["magic"], "one of auto, graph, refined, blend, propag"),
        (FewLabelClassifier, "n_neighbors", [0, 1.5], "an int of at least 1"),
        (FewLabelClassifier, "alphas", [(), (0.5, 1.0), 0.9, ("0.9",)], "a list, each entry a f"),
    ],
)
def test_a_value_out_of_range_is_named(kind, name, values, expected, table):
    for value in values:
        message = f"'{name}' parameter of {kind.__name__} must be {expected}.* Got "
        message += re.escape(repr(value))
        with pytest.raises(UsageError, match=message):
            kind(**{name: value}).fit(*table)


@pytest.fixture(scope="module")
def table():
    X, truth = load_digits(return_X_y=True)
    return X[:300], truth[:300]


def few(truth, step=3):
    """Keep every third label."""
    y = np.where(np.arange(len(truth)) % step == 0, truth, -1)
    return y.astype(truth.dtype)


def accuracy_of_labeled(model, X, y_true):
    labeled = y_true != -1
    return np.mean(y_true[labeled] == model.predict(X)[labeled])


def purity(model, X, y):
    labels = model.predict(X)
    counts = np.array([np.bincount(y[labels == k], minlength=10) for k in np.unique(labels)])
    return counts.max(axis=1).sum() / len(y)


def search(estimator, grid, X, y, scoring=None):
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    found = GridSearchCV(estimator, grid, cv=folds, scoring=scoring, error_score="raise")
    found.fit(X, y)
    scores = found.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert len(set(scores)) > 1
    return found


@pytest.mark.parametrize(
    ("classifier", "grid"),
    [
        (ClusterPropagation(random_state=0), {"n_clusters": [5, 60], "percentile": [50, 100]}),
        (GRAPH, {"n_neighbors": [2, 50], "alpha": [0.5, 0.99]}),
        (
            FewLabelClassifier(alphas=(0.9,), random_state=0),
            {"n_neighbors": [3, 60], "method": ["graph", "supervised"]},
        ),
    ],
)
def test_the_settings_of_a_classifier_are_searched(classifier, grid, table):
    X, truth = table
    found = search(classifier, grid, X, few(truth), accuracy_of_labeled)
    assert found.best_score_ > 0.6
    assert found.best_estimator_.score(X, truth) > 0.6


@pytest.mark.parametrize(
    ("transformer", "name", "least", "most"),
    [
        (PatchDictionary(n_patches=2_000, random_state=0), "n_filters", 1, 20),
        (DampedPCA(), "n_components", 2, 30),
        (ClusterDistances(random_state=0), "n_clusters", 2, 40),
        (KMeans(random_state=0), "n_clusters", 2, 30),
        (Representatives(random_state=0), "n_representatives", 2, 30),
    ],
)
def test_the_settings_of_a_transformer_or_clusterer_are_searched(
    transformer, name, least, most, table
):
    is_clusterer = isinstance(transformer, KMeans | Representatives)
    steps = (DampedPCA(30), transformer) if is_clusterer else (transformer, GRAPH)
    name = f"{type(transformer).__name__.lower()}__{name}"
    scoring = purity if is_clusterer else None
    found = search(make_pipeline(*steps), {name: [least, most]}, *table, scoring)
    # More filters, components and clusters tell more.
    assert found.best_params_ == {name: most}


@pytest.mark.parametrize(
    ("estimator", "form"),
    [
        pytest.param(e, form, id=f"{type(e).__name__}-{form}")
        for e in ESTIMATORS
        for form in ("column", "table")
        if form == "column" or isinstance(e, FewLabelClassifier | NetworkClassifier)
    ],
)
def test_a_clone_is_the_same_but_not_fitted(estimator, form, table):
    X, truth = table
    twin = clone(estimator).set_params(random_state=0)
    y = few(truth[:60])
    if form == "table":
        y = np.where(y[:, None] < 0, -1, y[:, None] == np.arange(10))
    first = twin.fit(X[:60], y)
    second = clone(twin).fit(X[:60], y)
    fitted = [name for name in vars(first) if name.endswith("_")]
    assert fitted
    assert not [name for name in vars(clone(first)) if name.endswith("_")]
    for name in fitted:
        value = getattr(first, name)
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, getattr(second, name), err_msg=name)


CLASSIFIERS = pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(e, id=f"{type(e).__name__}-{i}")
        for i, e in enumerate(ESTIMATORS)
        if is_classifier(e)
    ],
)
MISSING = [None, float("nan"), pd.NA, "", "-1", "<NA>"]


@pytest.fixture
def blobs():
    truth = np.arange(36) % 2
    X = np.random.default_rng(0).normal(0, 1, (36, 4)) + 5 * np.eye(4)[truth]
    return X.astype(np.float32), truth


@CLASSIFIERS
def test_missing_labels_are_unlabeled_as_minus_one_is(estimator, blobs):
    X, truth = blobs
    y, names = few(truth), np.array(["cat", "dog"])
    expected = clone(estimator).set_params(random_state=0).fit(X, y)
    texts = [names[k] if k >= 0 else MISSING[i % len(MISSING)] for i, k in enumerate(y.tolist())]
    column = pd.DataFrame({"label": pd.Series(texts, dtype=object)})
    model = clone(estimator).set_params(random_state=0)
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        model.fit(X, column)
    assert model.classes_.tolist() == names.tolist()
    assert model.predict(X).tolist() == names[expected.predict(X)].tolist()
    assert model.score(X, texts) == expected.score(X, y) > 0.8


@CLASSIFIERS
@pytest.mark.parametrize("n_labeled", [1, 8])
def test_a_class_with_one_label_is_learned_too(estimator, blobs, n_labeled):
    X, truth = blobs
    y = np.where(np.arange(36) < 2 * n_labeled, truth, -1)
    y[3:16:2] = -1
    model = clone(estimator).set_params(random_state=0).fit(X, y)
    assert model.classes_.tolist() == [0, 1]
    assert set(model.predict(X)) <= {0, 1}


@CLASSIFIERS
def test_named_columns_are_predicted_without_a_word(estimator, blobs):
    X, truth = pd.DataFrame(blobs[0], columns=list("abcdefghij"[: blobs[0].shape[1]])), blobs[1]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="X does not have valid feature names")
        clone(estimator).set_params(random_state=0).fit(X, truth).predict(X)


@CLASSIFIERS
def test_minus_one_as_a_class_is_warned_of(estimator, blobs):
    X, truth = blobs
    with (
        pytest.warns(UserWarning, match="takes -1 for unlabeled, which leaves one class, 1"),
        contextlib.suppress(UsageError),
    ):
        clone(estimator).fit(X, 2 * truth - 1)
