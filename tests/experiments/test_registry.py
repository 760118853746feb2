"""The studies as they are written down: rows, published figures, settings."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fewlabel.errors import DataError, UsageError
from fewlabel_experiments import registry, runner
from fewlabel_experiments.protocol import Settings

STUDIES = [registry.find_study(name) for name in registry.STUDIES]

A = {
    "lr-all": 84.10, "lr-300-random": 77.76, "lr-50-representatives": 66.28,
    "lr-100-representatives": 70.46, "lr-200-representatives": 76.73,
    "lr-300-representatives": 76.22, "lr-300-whole": 77.09, "lr-300-nearest75": 77.05,
}  # fmt: skip
B = {
    "lr-all": 84.1, "network-all": 89.68,
    "lr-100-distances": 82.62, "lr-200-distances": 83.89, "lr-300-distances": 84.56,
    "lr-500-random": 78.52, "lr-1000-random": 79.24, "lr-2000-random": 80.89,
    "network-500-random": 73.51, "network-1000-random": 76, "network-2000-random": 78.53,
    "lr-2000-representatives": 81.46, "lr-2000-whole": 81.21, "lr-2000-nearest25": 80.44,
    "network-500-representatives": 75.5, "network-1000-representatives": 76.36,
    "network-2000-representatives": 80.24, "network-500-whole": 76.49,
    "network-1000-whole": 77.80, "network-2000-whole": 79.90, "network-500-nearest25": 75.98,
    "network-1000-nearest25": 77.34, "network-2000-nearest25": 79.42,
    "network-2000-nearest20": 10, "network-2000-nearest30": 80.12,
    "network-2000-nearest50": 80.12, "network-2000-nearest75": 79.60,
}  # fmt: skip


@pytest.mark.parametrize(("study", "figures"), [(STUDIES[0], A), (STUDIES[1], B)])
def test_the_published_figures_are_these(study: Any, figures: dict[str, float]) -> None:
    assert {name: p.accuracy for name, p in study.published.items()} == figures
    assert all(p.setting and p.model and p.source for p in study.published.values())


@pytest.mark.parametrize("study", STUDIES, ids=lambda s: s.name)
@pytest.mark.parametrize("quick", [False, True])
def test_rows_have_names_of_their_own_and_known_figures(study: Any, quick: bool) -> None:
    rows = study.rows(study.config(Settings(quick=quick)))
    assert max(Counter(row.id for row in rows).values()) == 1
    assert all(re.fullmatch(r"[a-z0-9-]+", row.id) for row in rows)
    assert {row.published for row in rows} - {None} <= set(study.published)


@pytest.mark.parametrize("study", STUDIES, ids=lambda s: s.name)
def test_every_published_figure_is_repeated(study: Any) -> None:
    rows = study.rows(study.config(Settings()))
    assert {row.published for row in rows} - {None} == set(study.published)


@pytest.mark.parametrize("study", STUDIES, ids=lambda s: s.name)
def test_a_row_says_what_the_published_one_does(study: Any) -> None:
    for row in study.rows(study.config(Settings())):
        if row.published is not None:
            published = study.published[row.published]
            assert row.model == published.model
            assert row.setting.startswith(published.setting)


@pytest.mark.parametrize("study", STUDIES, ids=lambda s: s.name)
def test_goals_are_of_rows_and_measures_that_there_are(study: Any) -> None:
    rows = {row.id for row in study.rows(study.config(Settings()))}
    for goal in study.goals:
        other = goal.at_most if goal.at_least is None else goal.at_least
        others = other if isinstance(other, list) else [other]
        assert {goal.row, *(name for name in others if isinstance(name, str))} <= rows
        assert goal.measure in {"accuracy", *study.measures}
    assert study.goals


def test_the_default_is_given_the_published_budgets() -> None:
    rows = STUDIES[1].rows(STUDIES[1].config(Settings()))
    budgets = [row.n_labeled for row in rows if row.beyond]
    assert budgets == [50, 100, 200, 300, 500, 1000, 2000]


def test_other_data_take_their_own_size() -> None:
    study = STUDIES[0]
    rows = study.rows(study.config(Settings(data="digits")))
    assert (rows[0].setting, rows[0].n_labeled) == ("all 1,297 labels", 1297)
    with pytest.raises(UsageError, match="There is no benchmark 'cifar': give --data one of"):
        study.rows(study.config(Settings(data="cifar")))


def test_data_that_are_missing_are_named_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FEWLABEL_DATA", str(tmp_path))
    monkeypatch.setenv("FEWLABEL_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="fashion-mnist is not on this machine: run `fewlabel data"):
        runner.run_study(STUDIES[0], Settings(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_too_few_images_for_the_clusters_are_refused() -> None:
    study = STUDIES[1]
    settings = Settings(data="digits")
    with pytest.raises(UsageError, match="1,297 training images, and the study asks for 2,000"):
        study.check(study.config(settings), settings)


@pytest.mark.parametrize(
    ("typed", "meant"), [("cluster-b", "clusters-b"), ("Clusters_A", "clusters-a")]
)
def test_an_unknown_study_is_answered_with_names(typed: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"no study '{typed}'.* Did you mean {meant}"):
        registry.find_study(typed)
    with pytest.raises(UsageError, match=r"choose among clusters-a, clusters-b[^?]*\.$"):
        registry.find_study("quantum")
