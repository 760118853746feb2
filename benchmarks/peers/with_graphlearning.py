"""GraphLearning: Laplace and Poisson learning on the graph of its documentation (10 neighbors).

Transductive: the test images, without labels, are nodes of the graph too.
"""

from functools import partial

import graphlearning as gl
import numpy as np


def _learn(task, learner, priors=False):
    settings = {}

    def run():
        X = np.concatenate([task.X_unit, task.X_test_unit])
        known = np.flatnonzero(task.y >= 0)
        if priors:
            settings["class_priors"] = np.bincount(task.y[known]) / len(known)
        model = learner(gl.weightmatrix.knn(X, 10), **settings)
        return model.fit_predict(known, task.y[known])[len(task.X) :]

    return run


METHODS = {
    "Laplace": partial(_learn, learner=gl.ssl.laplace),
    "Poisson": partial(_learn, learner=gl.ssl.poisson),
    # Class sizes help where labels are random; those of the labels, since others are not known.
    "Poisson, class priors": partial(_learn, learner=gl.ssl.poisson, priors=True),
}
