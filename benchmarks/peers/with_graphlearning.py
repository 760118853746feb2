"""GraphLearning: Laplace and Poisson learning on the graph of its documentation (10 neighbors).

Transductive: the test images, without labels, are nodes of the graph too.
"""

from functools import partial

import graphlearning as gl
import numpy as np


def _learn(task, learner, **settings):
    def run():
        X = np.concatenate([task.X_unit, task.X_test_unit])
        known = np.flatnonzero(task.y >= 0)
        model = learner(gl.weightmatrix.knn(X, 10), **settings)
        return model.fit_predict(known, task.y[known])[len(task.X) :]

    return run


METHODS = {
    "Laplace": partial(_learn, learner=gl.ssl.laplace),
    "Poisson": partial(_learn, learner=gl.ssl.poisson),
}
