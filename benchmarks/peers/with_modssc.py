"""ModSSC: graph methods with the settings of its own configurations for MNIST, self-training.

Those on the graph are transductive: the test images, without labels, are nodes too.
"""

from functools import partial

import numpy as np
from modssc.graph import GraphBuilderSpec, build_graph
from modssc.graph.artifacts import NodeDataset
from modssc.graph.specs import GraphWeightsSpec
from modssc.inductive.methods.self_training import SelfTrainingMethod, SelfTrainingSpec
from modssc.inductive.types import DeviceSpec, InductiveDataset
from modssc.transductive import get_method_class

GRAPH = GraphBuilderSpec(
    scheme="knn",
    metric="euclidean",
    k=10,
    symmetrize="mean",
    weights=GraphWeightsSpec("knn_gaussian"),
    normalize="none",
    self_loops=False,
    backend="numpy",
    chunk_size=1024,
)


def _transductive(task, name):
    method = get_method_class(name)()

    def run():
        X = np.concatenate([task.X_unit, task.X_test_unit])
        y = np.concatenate([task.y, np.full(len(task.X_test), -1)])
        graph = build_graph(X, spec=GRAPH, seed=task.seed, cache=False)
        data = NodeDataset(X, y, graph, masks={"train_mask": y >= 0})
        proba = method.fit(data, seed=task.seed).predict_proba(data)
        return proba[len(task.X) :].argmax(axis=1)

    return run


def _self_training(task):
    spec = SelfTrainingSpec(
        classifier_id="logreg",
        classifier_backend="sklearn",
        classifier_params={"C": 0.1, "max_iter": 1000},
    )
    known = task.y >= 0

    def run():
        mean, scale = task.X_unit.mean(axis=0), task.X_unit.std(axis=0)
        X, X_test = ((rows - mean) / scale for rows in (task.X_unit, task.X_test_unit))
        data = InductiveDataset(X[known], task.y[known], X_u=X[~known])
        model = SelfTrainingMethod(spec).fit(data, device=DeviceSpec("cpu"), seed=task.seed)
        return model.predict_proba(X_test).argmax(axis=1)

    return run


METHODS = {
    "label_spreading": partial(_transductive, name="label_spreading"),
    "laplace_learning": partial(_transductive, name="laplace_learning"),
    "poisson_learning": partial(_transductive, name="poisson_learning"),
    "self_training": _self_training,
}
