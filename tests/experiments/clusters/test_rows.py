"""The clustering studies on the digits, small enough to run anywhere."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from fewlabel_experiments import registry, runner, summary, tables
from fewlabel_experiments.protocol import Settings

SMALL_A = {"random": [40], "clusters": [20, 40], "spread_clusters": 40, "default": []}
SMALL_B = {
    "distances": [20], "budgets": [40], "percentiles": [20], "default": [],
    "network_epochs": 1, "network_spread_epochs": 1, "network_min_steps": 5,
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


def _study(monkeypatch, name, small):
    study = registry.find_study(name)
    whole = type(study).config
    monkeypatch.setattr(type(study), "config", lambda self, s: whole(self, s) | small)
    return study


@pytest.fixture
def session(monkeypatch):
    study = _study(monkeypatch, "clusters-a", SMALL_A)
    settings = Settings(data="digits")
    return study.session(study.config(settings), settings, 0, lambda *_: None)


def test_a_medoid_is_the_nearest_image_of_its_cluster(session):
    clustering = session.clustering(20)
    for k, medoid in enumerate(clustering.medoids):
        members = np.flatnonzero(clustering.clusters == k)
        distances = np.linalg.norm(session.X[members] - clustering.centers[k], axis=1)
        assert medoid in members
        nearest = np.linalg.norm(session.X[medoid] - clustering.centers[k])
        assert nearest == pytest.approx(distances.min(), rel=1e-5)


def test_the_two_readings_train_on_different_rows_with_the_same_labels(session):
    medoids, centroids = session.at_medoids(20), session.at_centroids(20)
    np.testing.assert_array_equal(medoids.y, centroids.y)
    np.testing.assert_array_equal(centroids.X, session.kmeans(20).cluster_centers_)
    assert not np.array_equal(medoids.X, centroids.X)


def test_spreading_uses_the_labels_of_the_medoids_alone(session):
    before = session.spread(20, 100)
    assert len(before.y) == len(session.y)
    others = np.setdiff1d(np.arange(len(session.y)), session.clustering(20).medoids)
    session.y[others] = (session.y[others] + 1) % 10
    after = session.spread(20, 100)
    np.testing.assert_array_equal(after.y, before.y)
    assert not np.array_equal(after.truth, before.truth)
    # A percentile takes that fraction of each cluster.
    sizes = np.bincount(session.clustering(20).clusters)
    assert len(session.spread(20, 25).y) == np.maximum(1, sizes * 25 // 100).sum()


def test_study_a_from_end_to_end(monkeypatch, tmp_path):
    study = _study(monkeypatch, "clusters-a", SMALL_A)
    settings = Settings(data="digits", seeds=(0, 1), save_models=tmp_path / "models")
    result = runner.run_study(study, settings, tmp_path / "run")
    means = {s.row.id: s.mean for s in result.summaries}
    assert all(s.published is None for s in result.summaries)
    assert means["lr-all"] > 93
    assert means["lr-all"] > means["lr-40-medoids"] > means["lr-20-medoids"] > 60
    assert means["lr-40-medoids"] > means["lr-40-random"]
    shared = {record["row"]: set(record["shared"]) for record in result.records}
    assert shared["lr-40-whole"] == shared["lr-40-medoids"] == {"kmeans-40", "medoids-40"}
    assert shared["lr-all"] == set()
    right = {s.row.id: s.extra["label_precision"] for s in result.summaries}
    assert right["lr-40-whole"] < right["lr-40-nearest75"] < right["lr-40-medoids"] == 1


def test_saved_models_print_the_same_table(monkeypatch, tmp_path):
    study = _study(monkeypatch, "clusters-b", SMALL_B)
    models = tmp_path / "models"
    saving = Settings(data="digits", seeds=(0,), save_models=models)
    first = runner.run_study(study, saving, tmp_path / "run")
    names = {path.name for path in models.iterdir() if path.is_dir()}
    assert {"kmeans-20-seed0", "kmeans-40-seed0", "lr-20-distances-seed0", "lr-40-medoids-seed0",
            "network-40-whole-seed0", "network-40-nearest20-seed0"} <= names  # fmt: skip
    monkeypatch.setattr("sklearn.linear_model.LogisticRegression.fit", _never)
    monkeypatch.setattr("fewlabel.KMeans.fit", _never)
    monkeypatch.setattr("fewlabel.NetworkClassifier.fit", _never)
    loading = Settings(data="digits", seeds=(0,), from_models=models)
    second = runner.run_study(study, loading, tmp_path / "again")
    page = tables.comparison
    assert page(second.summaries) == page(first.summaries)
    assert [s.extra for s in second.summaries] == [s.extra for s in first.summaries]


def _never(*_, **__):
    raise AssertionError("a loaded model must not be trained")


def test_a_missing_model_is_made_again_and_only_that(monkeypatch, tmp_path):
    study = _study(monkeypatch, "clusters-a", SMALL_A)
    plain = Settings(data="digits", seeds=(0,))
    first = runner.run_study(study, plain, tmp_path / "run")
    lines = []
    saving = Settings(data="digits", seeds=(0,), save_models=tmp_path / "models")
    again = runner.run_study(study, saving, tmp_path / "run", log=lines.append)
    # The same seed gives the same accuracies.
    assert [s.mean for s in again.summaries] == [s.mean for s in first.summaries]
    assert len(lines) == len(study.rows(study.config(plain)))
    lines.clear()
    runner.run_study(study, saving, tmp_path / "run", log=lines.append)
    assert lines == []


def test_a_model_that_scores_otherwise_warns(session):
    with pytest.warns(UserWarning, match="lr-all-seed0 has 50.00 % .* had 90.00 % when"):
        session.checked("lr-all-seed0", {"accuracy": 0.9}, 0.5)
    assert session.checked("x", {"accuracy": 0.5, "extra": {"a": 1}}, 0.5).extra == {"a": 1}


def test_what_was_published_can_be_drawn_by_itself(tmp_path):
    study = registry.find_study("clusters-b")
    rows = study.rows(study.config(Settings()))
    drawn = study.figures(summary.summarize(study, rows, []), tmp_path)
    assert [path.read_bytes()[:5] for path in drawn] == [b"<?xml"] * 2
