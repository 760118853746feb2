"""faiss-cpu: k-means, and the flat index of inner products."""

import faiss


def _kmeans(task):
    # Without the final assignment, which it does not do; fewlabel and scikit-learn return labels.
    model = faiss.Kmeans(
        task.X.shape[1], len(task.start), niter=10, min_points_per_centroid=1, seed=1
    )

    def run():
        model.train(task.X, init_centroids=task.start)
        return model.centroids

    return run


def _neighbors(task):
    def run():
        index = faiss.IndexFlatIP(task.Z.shape[1])
        index.add(task.Z)
        return index.search(task.Z, 16)[1]

    return run


def _hnsw(task):
    def run():
        index = faiss.IndexHNSWFlat(task.Z.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efSearch = 64
        index.add(task.Z)
        return index.search(task.Z, 16)[1]

    return run


METHODS = {"k-means": _kmeans, "flat index": _neighbors, "HNSW index": _hnsw}
