"""The studies as they are written down: rows, published figures, settings."""

import re
from collections import Counter

import pytest

from fewlabel.errors import DataError, UsageError
from fewlabel_experiments import registry, runner
from fewlabel_experiments.protocol import Settings

STUDIES = [registry.find_study(name) for name in registry.STUDIES]


@pytest.mark.parametrize("study", STUDIES, ids=lambda s: s.name)
@pytest.mark.parametrize("quick", [False, True])
def test_rows_have_names_of_their_own_and_repeat_what_was_published(study, quick):
    rows = study.rows(study.config(Settings(quick=quick)))
    assert max(Counter(row.id for row in rows).values()) == 1
    assert all(re.fullmatch(r"[a-z0-9-]+", row.id) for row in rows)
    repeated = [row for row in rows if row.published is not None]
    names = {row.published for row in repeated}
    assert names <= set(study.published) if quick else names == set(study.published)
    for row in repeated:
        published = study.published[row.published]
        assert published.source
        assert row.model == published.model
        assert quick or row.setting.startswith(published.setting)


@pytest.mark.parametrize("study", STUDIES, ids=lambda s: s.name)
def test_goals_are_of_rows_and_measures_that_there_are(study):
    rows = {row.id for row in study.rows(study.config(Settings()))}
    for goal in study.goals:
        other = goal.at_most if goal.at_least is None else goal.at_least
        others = other if isinstance(other, list) else [other]
        assert {goal.row, *(name for name in others if isinstance(name, str))} <= rows
        assert goal.measure in {"accuracy", *study.measures}
    assert study.goals


def test_the_default_is_given_the_published_budgets():
    rows = STUDIES[1].rows(STUDIES[1].config(Settings()))
    budgets = [row.n_labeled for row in rows if row.beyond]
    assert budgets == [50, 100, 200, 300, 500, 1000, 2000]


def test_other_data_take_their_own_size():
    study = STUDIES[0]
    rows = study.rows(study.config(Settings(data="digits")))
    assert (rows[0].setting, rows[0].n_labeled) == ("all 1,297 labels", 1297)
    with pytest.raises(UsageError, match="There is no benchmark 'cifar': give --data one of"):
        study.rows(study.config(Settings(data="cifar")))


def test_data_that_are_missing_are_named_before_anything_is_written(monkeypatch, tmp_path):
    monkeypatch.setenv("FEWLABEL_DATA", str(tmp_path))
    monkeypatch.setenv("FEWLABEL_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="fashion-mnist is not on this machine: run `fewlabel data"):
        runner.run_study(STUDIES[0], Settings(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("study", STUDIES[2:], ids=lambda s: s.name)
def test_studies_of_networks_save_no_models(study, tmp_path):
    with pytest.raises(UsageError, match="saves and loads no models: leave out --save-models"):
        study.check({}, Settings(save_models=tmp_path))


def test_too_few_images_for_the_clusters_are_refused():
    study = STUDIES[1]
    settings = Settings(data="digits")
    with pytest.raises(UsageError, match="1,297 training images, and the study asks for 2,000"):
        study.check(study.config(settings), settings)


@pytest.mark.parametrize(
    ("typed", "meant"), [("cluster-b", "clusters-b"), ("Clusters_A", "clusters-a")]
)
def test_an_unknown_study_is_answered_with_names(typed, meant):
    with pytest.raises(UsageError, match=f"no study '{typed}'.* Did you mean {meant}"):
        registry.find_study(typed)
    with pytest.raises(UsageError, match=r"choose among clusters-a, clusters-b[^?]*\.$"):
        registry.find_study("quantum")
