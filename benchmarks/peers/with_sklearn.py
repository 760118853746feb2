"""scikit-learn: classifiers, k-means and neighbors."""

from functools import partial

import numpy as np
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier


def _logistic():
    # Scaled, as the documentation of its solver advises; of seven values of C the best on seed 101.
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))


def _supervised(task):
    known = task.y >= 0
    return lambda: _logistic().fit(task.X_unit[known], task.y[known]).predict(task.X_test_unit)


def _self_training(task):
    model = SelfTrainingClassifier(_logistic())
    return lambda: model.fit(task.X_unit, task.y).predict(task.X_test_unit)


def _spreading(task, **settings):
    model = LabelSpreading(**settings)
    return lambda: model.fit(task.X_unit, task.y).predict(task.X_test_unit)


def _kmeans(task):
    model = KMeans(len(task.start), init=task.start, n_init=1, max_iter=10, tol=0)
    return lambda: model.fit(task.X).cluster_centers_


def _neighbors(task):
    # On unit rows the Euclidean order is the cosine's, and scikit-learn is fastest with it.
    model = NearestNeighbors(n_neighbors=15, algorithm="brute")
    return lambda: model.fit(task.Z).kneighbors(return_distance=False)


def _random(task):
    return lambda: np.random.default_rng(task.seed).choice(len(task.X), task.n_labels, False)


METHODS = {
    "logistic regression": _supervised,
    "SelfTrainingClassifier": _self_training,
    "LabelSpreading": _spreading,
    "LabelSpreading, knn": partial(_spreading, kernel="knn"),
    "random": _random,
    "k-means": _kmeans,
    "neighbors": _neighbors,
}
