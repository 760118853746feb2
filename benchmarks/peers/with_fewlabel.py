"""fewlabel: on the same features as the peers, and its whole fit with estimate and report data."""

from dataclasses import replace
from functools import partial

import numpy as np
from splits import labels_of_codes, pool_and_test

from fewlabel import FewLabelClassifier, KMeans
from fewlabel.cluster.neighbors import nearest_neighbors
from fewlabel.pipeline import FitSettings, extract_features, fit_images, select_images


def _classifier(task):
    model = FewLabelClassifier(random_state=task.seed)
    return lambda: model.fit(task.X, task.y).predict(task.X_test)


def _transductive(task):
    model = FewLabelClassifier(random_state=task.seed)

    def run():
        y = np.concatenate([task.y, np.full(len(task.X_test), -1)])
        model.fit(np.concatenate([task.X, task.X_test]), y)
        return model.transduction_[len(task.X) :]

    return run


def _pool(task):
    pool, _ = pool_and_test(str(task.dataset), task.seed, len(task.X))
    # Of the run that made the features of the peers; more threads round products otherwise.
    prepared = extract_features(pool, features=str(task.features), seed=task.seed, cache=True)
    if np.abs(prepared.rows - task.X).max() > 1e-3 * np.abs(task.X).max():
        raise SystemExit("the features are not those that the peers were given")
    return pool, replace(prepared, rows=task.X)


def _fit(task):
    pool, prepared = _pool(task)
    labels = labels_of_codes(task.y)

    def run():
        settings = FitSettings(seed=task.seed)
        fitted = fit_images(pool, labels, settings, prepared=prepared)
        proba = fitted.model.widen(fitted.model.fitted.predict_proba(task.X_test))
        return proba.argmax(axis=1)

    return run


def _select(task, method):
    pool, prepared = _pool(task)

    def run():
        chosen = select_images(
            pool, task.n_labels, method=method, seed=task.seed, prepared=prepared
        )
        return chosen.indices

    return run


def _kmeans(task):
    model = KMeans(len(task.start), init=task.start, max_iter=10, tol=0)
    return lambda: model.fit(task.X).cluster_centers_


def _neighbors(task, method):
    return lambda: nearest_neighbors(task.Z, 15, method=method)[0]


METHODS = {
    "FewLabelClassifier": _classifier,
    # As the peers that know a graph alone: with the test images, without labels, in it.
    "FewLabelClassifier, transductive": _transductive,
    "fit": _fit,
    "select": partial(_select, method=None),
    "select, typiclust": partial(_select, method="typiclust"),
    "k-means": _kmeans,
    "neighbors": partial(_neighbors, method="auto"),
    "neighbors, exact": partial(_neighbors, method="exact"),
}
