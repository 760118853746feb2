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
def test_rows_and_goals_have_names_and_repeat_what_was_published(study, quick):
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
    assert study.goals
    for goal in [] if quick else study.goals:
        other = goal.at_most if goal.at_least is None else goal.at_least
        others = other if isinstance(other, list) else [other]
        named = {goal.row, *(name for name in others if isinstance(name, str))}
        assert named <= {row.id for row in rows}
        assert goal.measure in {"accuracy", *study.measures}


def test_other_data_take_their_own_size_and_must_suffice_for_the_clusters():
    first, study, *_ = STUDIES
    settings = Settings(data="digits")
    row = first.rows(first.config(settings))[0]
    assert (row.setting, row.n_labeled) == ("all 1,297 labels", 1297)
    with pytest.raises(UsageError, match="1,297 training images, and the study asks for 2,000"):
        study.check(study.config(settings), settings)


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
