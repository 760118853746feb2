"""PyNNDescent: the graph of nearest neighbors by descent."""

import numpy as np
from pynndescent import NNDescent


def _neighbors(task):
    # Its functions are compiled on first use: that is not timed.
    NNDescent(task.Z[:2000], metric="cosine", n_neighbors=16, random_state=0, n_jobs=1)

    def run():
        index = NNDescent(task.Z, metric="cosine", n_neighbors=16, random_state=0, n_jobs=None)
        return np.asarray(index.neighbor_graph[0])

    return run


METHODS = {"neighbors": _neighbors}
