"""One suite over every public estimator: scikit-learn's contract, pipelines, grid search."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import SkipTestWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fewlabel
from fewlabel import (
    BinaryExperts,
    ClusterDistances,
    ClusterPropagation,
    DampedPCA,
    FewLabelClassifier,
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
    "check_classifiers_classes": "the check calls its classes -1 and 1; here -1 is unlabelled"
}
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
    NetworkClassifier(options={"widths": (32, 16)}, n_epochs=5, min_steps=60),
    SelfTraining(max_rounds=1, n_folds=2),
    BinaryExperts(
        NetworkClassifier(options={"widths": (32, 16)}, n_epochs=5, min_steps=60),
        max_rounds=1,
        retrain_steps=20,
        expert_epochs=1,
    ),
    TeacherStudent(
        NetworkClassifier(options={"widths": (32, 16)}, n_epochs=5, min_steps=60),
        n_members=2,
        max_rounds=1,
    ),
]


WEIGHTS = dict.fromkeys(
    ("check_sample_weight_equivalence_on_dense_data", "check_sample_weights_invariance"),
    "which rows share a batch depends on their number, so a weight of 2 and a row that stands "
    "twice train differently",
)


def expected_failed_checks(estimator):
    if isinstance(estimator, NetworkClassifier):
        return MINUS_ONE | WEIGHTS
    semi_supervised = (
        BinaryExperts,
        ClusterPropagation,
        GraphPropagation,
        FewLabelClassifier,
        SelfTraining,
        TeacherStudent,
    )
    return MINUS_ONE if isinstance(estimator, semi_supervised) else {}


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failed_checks)
def test_scikit_learns_contract(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        check(estimator)


def test_every_public_estimator_is_checked():
    public = {name for name in fewlabel.__all__ if hasattr(getattr(fewlabel, name), "get_params")}
    assert public == {type(estimator).__name__ for estimator in ESTIMATORS}


@pytest.mark.parametrize("kind", sorted({type(e) for e in ESTIMATORS}, key=lambda k: k.__name__))
def test_a_wrong_parameter_is_named(kind, digits):
    X, truth = digits
    for name in getattr(kind, "_parameter_constraints", {}):
        message = f"The '{name}' parameter of {kind.__name__} must be .* Got <object"
        with pytest.raises(UsageError, match=message):
            kind().set_params(**{name: object()}).fit(X, truth)


@pytest.fixture(scope="module")
def digits():
    X, truth = load_digits(return_X_y=True)
    return X[:300], truth[:300]


def few(truth, step=3):
    """Keep every third label."""
    y = np.where(np.arange(len(truth)) % step == 0, truth, -1)
    return y.astype(truth.dtype)


def accuracy_of_labeled(y_true, y_pred):
    labeled = y_true != -1
    return np.mean(y_true[labeled] == y_pred[labeled])


SCORE = make_scorer(accuracy_of_labeled)


@pytest.mark.parametrize(
    "transformer",
    [
        PatchDictionary(n_filters=20, n_patches=5_000, n_components=40, random_state=0),
        DampedPCA(30),
        ClusterDistances(n_clusters=40, random_state=0),
        KMeans(n_clusters=40, random_state=0),
    ],
)
def test_a_transformer_stands_before_a_classifier(transformer, digits):
    X, truth = digits
    model = make_pipeline(transformer, StandardScaler(), LogisticRegression(max_iter=1_000))
    model.fit(X[:200], truth[:200])
    assert model.score(X[200:], truth[200:]) > 0.7


@pytest.mark.parametrize(
    "classifier",
    [
        ClusterPropagation(n_clusters=60, random_state=0),
        GraphPropagation(random_state=0),
        GraphPropagation(method="poisson", random_state=0),
        FewLabelClassifier(alphas=(0.9,), random_state=0),
    ],
)
def test_a_classifier_stands_behind_a_transformer(classifier, digits):
    X, truth = digits
    model = make_pipeline(DampedPCA(30), classifier).fit(X[:200], few(truth[:200]))
    assert model.score(X[200:], truth[200:]) > 0.6
    assert len(model[-1].transduction_) == 200


def test_a_clusterer_stands_behind_a_transformer(digits):
    model = make_pipeline(DampedPCA(30), Representatives(15, random_state=0)).fit(digits[0])
    assert model.predict(digits[0]).max() == 14
    assert len(model[-1].indices_) == 15


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
        (GraphPropagation(random_state=0), {"n_neighbors": [2, 50], "alpha": [0.5, 0.99]}),
        (
            FewLabelClassifier(alphas=(0.9,), random_state=0),
            {"n_neighbors": [3, 60], "method": ["graph", "supervised"]},
        ),
    ],
)
def test_the_settings_of_a_classifier_are_searched(classifier, grid, digits):
    X, truth = digits
    found = search(classifier, grid, X, few(truth), SCORE)
    assert found.best_score_ > 0.6
    assert found.best_estimator_.score(X, truth) > 0.6


@pytest.mark.parametrize(
    ("transformer", "grid"),
    [
        (PatchDictionary(n_patches=2_000, random_state=0), {"n_filters": [1, 20]}),
        (DampedPCA(), {"n_components": [2, 30]}),
        (ClusterDistances(random_state=0), {"n_clusters": [2, 40]}),
    ],
)
def test_the_settings_of_a_transformer_are_searched(transformer, grid, digits):
    X, truth = digits
    name = type(transformer).__name__.lower()
    model = make_pipeline(transformer, GraphPropagation())
    grid = {f"{name}__{key}": values for key, values in grid.items()}
    found = search(model, grid, X, truth)
    # More filters, components and clusters tell more.
    assert found.best_params_ == {key: values[1] for key, values in grid.items()}


@pytest.mark.parametrize("clusterer", [KMeans(random_state=0), Representatives(random_state=0)])
def test_the_settings_of_a_clusterer_are_searched(clusterer, digits):
    X, truth = digits

    def purity(model, X, y):
        labels = model.predict(X)
        counts = np.array([np.bincount(y[labels == k], minlength=10) for k in np.unique(labels)])
        return counts.max(axis=1).sum() / len(y)

    name = "n_clusters" if isinstance(clusterer, KMeans) else "n_representatives"
    found = search(clusterer, {name: [2, 30]}, X, truth, purity)
    assert found.best_params_ == {name: 30}


def takes(estimator):
    """Name the forms of y that an estimator takes."""
    both = isinstance(estimator, FewLabelClassifier | NetworkClassifier)
    return ["column", "table"] if both else ["column"]


@pytest.mark.parametrize(
    ("estimator", "form"),
    [
        pytest.param(e, form, id=f"{type(e).__name__}-{form}")
        for e in ESTIMATORS
        for form in takes(e)
    ],
)
def test_a_clone_is_the_same_but_not_fitted(estimator, form, digits):
    X, truth = digits
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
