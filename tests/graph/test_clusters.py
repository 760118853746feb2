import numpy as np
import pytest
from sklearn.datasets import make_blobs

from fewlabel.graph.clusters import ClusterPropagation, label_clusters, spread_to_percentile


def blobs():
    X, truth = make_blobs(
        [40, 30, 50], 4, centers=np.eye(3, 4) * 20, cluster_std=0.5, random_state=0
    )
    y = np.full(len(truth), -1)
    for label in range(3):
        y[np.flatnonzero(truth == label)[:2]] = label
    return X, y, truth


def test_the_majority_labels_a_cluster_and_the_smaller_class_wins_a_tie():
    clusters = np.array([0, 0, 0, 1, 1, 2, 3])
    codes = np.array([2, 2, 0, 1, 0, -1, 2])
    assert label_clusters(clusters, codes, 5).tolist() == [2, 0, -1, 2, -1]
    assert label_clusters(np.array([0, 1]), np.array([-1, -1]), 2).tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("percentile", "expected"),
    [
        (100, [5, 5, 5, 5, 5, 6, 6, 6, -1]),
        (60, [5, -1, 5, -1, 5, 6, -1, -1, -1]),
        (20, [-1, -1, 5, -1, -1, 6, -1, -1, -1]),
        # The nearest row is always included.
        (0.01, [-1, -1, 5, -1, -1, 6, -1, -1, -1]),
    ],
)
def test_the_nearest_share_of_each_cluster_is_labeled(percentile, expected):
    clusters = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2])
    distances = np.array([0.3, 0.4, 0.1, 0.5, 0.2, 1, 2, 3, 0])
    found = spread_to_percentile(clusters, distances, np.array([5, 6, -1]), percentile)
    assert found.tolist() == expected
    # 100 rows at 29 percent: 100 * 29 / 100 is 28.999… in floating point.
    found = spread_to_percentile(np.zeros(100, int), np.arange(100.0), np.array([1]), 29)
    assert (found == 1).sum() == 29


def test_whole_clusters_take_the_label():
    X, y, truth = blobs()
    model = ClusterPropagation(3, random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.transduction_, truth)
    np.testing.assert_array_equal(model.predict(X), truth)
    np.testing.assert_array_equal(model.label_distributions_, np.eye(3)[truth])


def test_a_percentile_leaves_the_outer_rows_unlabeled_and_keeps_given_labels():
    X, y, truth = blobs()
    model = ClusterPropagation(3, percentile=50, random_state=0).fit(X, y)
    handed = model.transduction_ >= 0
    assert 60 <= handed.sum() <= 66
    np.testing.assert_array_equal(model.transduction_[handed], truth[handed])
    np.testing.assert_array_equal(model.transduction_[y >= 0], y[y >= 0])
    np.testing.assert_array_equal(model.label_distributions_.sum(axis=1), handed)
    centers = model.kmeans_.cluster_centers_
    distance = np.linalg.norm(X - centers[model.kmeans_.labels_], axis=1)
    for cluster in range(3):
        inside = (model.kmeans_.labels_ == cluster) & (y < 0)
        assert distance[inside & handed].max() <= distance[inside & ~handed].min()


def test_a_given_label_is_kept_against_the_majority():
    X = np.array([[0.0], [0.1], [0.2], [9.0]])
    model = ClusterPropagation(2, random_state=0).fit(X, [0, 0, 1, 1])
    assert model.transduction_.tolist() == [0, 0, 1, 1]
    assert model.predict([[0.2]]).tolist() == [0]
    # Where there are more clusters than rows, each row is one.
    model = ClusterPropagation(100, random_state=0).fit([[0.0], [1.0], [2.0]], [0, -1, 1])
    assert model.transduction_.tolist() == [0, -1, 1]


@pytest.mark.parametrize("dtype", [str, object])
def test_a_cluster_without_labels_predicts_as_the_nearest_one_with_labels(dtype):
    X = np.array([[0.0], [0.1], [4], [4.1], [10], [10.1]])
    y = np.array(["a", "-1", "-1", "-1", "b", "-1"], dtype=dtype)
    model = ClusterPropagation(3, random_state=0).fit(X, y)
    assert model.predict([[4.0]]).tolist() == ["a"]
    # Nobody labeled the middle cluster, so nothing is spread there.
    assert model.transduction_.tolist() == ["a", "a", "-1", "-1", "b", "b"]
