"""What the study shows, as sentences computed from its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from ..protocol import Published
from ..summary import RowSummary
from .recipes import ABLATION

FEW_GAIN = 5.0
"""Points that teacher and student are to bring where few images are labelled."""

BEST_GOAL = 97.0
"""Exact match of the best row in percent that is to be reached with 30,000 + 30,000 images."""

BEHIND = 0.5
"""Points that the distilled student may be behind its ensemble."""

_WORDS = {
    "prepared": "preprocessing",
    "copied": "changed copies for characters",
    "bagging-several": "bagging of several networks",
    "teacher-student": "teacher and student",
}


def sentences(summaries: Sequence[RowSummary], published: Mapping[str, Published]) -> list[str]:
    """Say what the comparison shows."""
    found = {s.row.id: s for s in summaries if s.mean is not None}
    mean = {name: s.mean for name, s in found.items() if s.mean is not None}
    return [
        *_goals(found, published),
        *_steps(mean),
        *_flips(mean),
        *_bagging(mean),
        *_distilled(found, mean),
        *_taught(mean),
        *_few(mean),
        *_ablation(mean),
    ]


def _goals(found: Mapping[str, RowSummary], published: Mapping[str, Published]) -> list[str]:
    said = []
    for name, words, goal in (
        ("cnn", "the own CNN", published["cnn"].accuracy),
        ("best", "the best row", BEST_GOAL),
    ):
        row = found.get(name)
        if row is not None and row.mean is not None:
            said.append(
                f"The goal for {words} with 30,000 labelled images is {goal:g} %: with "
                f"{row.row.n_labeled:,} it has {row.mean:.1f} %, {_reached(row.mean >= goal)}."
            )
    return said


def _steps(mean: Mapping[str, float]) -> list[str]:
    names = [name for name in ("cnn", *_WORDS) if name in mean]
    gains = [f"{_WORDS[name]} {mean[name] - mean[before]:+.1f}" for before, name in pairwise(names)]
    if not gains or names[0] != "cnn":
        return []
    return [f"From the own CNN's {mean['cnn']:.1f} % on, each step in points: {'; '.join(gains)}."]


def _flips(mean: Mapping[str, float]) -> list[str]:
    if not {"prepared", "flips", "no-flips"} <= set(mean):
        return []
    cost = mean["flips"] - mean["no-flips"]
    return [
        f"Flips among the published changes: {cost:+.1f} points over the same changes without "
        f"them. With flips the copies bring {mean['flips'] - mean['prepared']:+.1f} points, and "
        f"without {mean['no-flips'] - mean['prepared']:+.1f}."
    ]


def _bagging(mean: Mapping[str, float]) -> list[str]:
    if not {"copied", "bagging-single", "bagging-several"} <= set(mean):
        return []
    single = mean["bagging-single"] - mean["copied"]
    several = mean["bagging-several"] - mean["copied"]
    return [
        f"Over one network: bagging of one architecture {single:+.1f} points, of several "
        f"architectures {several:+.1f}."
    ]


def _distilled(found: Mapping[str, RowSummary], mean: Mapping[str, float]) -> list[str]:
    said = []
    for many, one, words in (
        ("bagging-several", "distilled", "published recipe"),
        ("best-ensemble", "best-distilled", "fewlabel's best"),
    ):
        if many not in mean or one not in mean:
            continue
        gap = mean[one] - mean[many]
        times = found[many].extra["test_seconds"] / max(found[one].extra["test_seconds"], 1e-9)
        members = found[many].extra["members"]
        said.append(
            f"The distilled student less its ensemble of {members:.0f} ({words}): {gap:+.1f} "
            f"points, at 1/{times:.1f} of the time of a prediction; at most {BEHIND:g} behind was "
            f"the goal: {_reached(gap >= -BEHIND)}."
        )
    return said


def _taught(mean: Mapping[str, float]) -> list[str]:
    if not {"best-alone", "best"} <= set(mean):
        return []
    gain = mean["best"] - mean["best-alone"]
    verdict = "" if gain > 0 else ": the labels alone do better"
    return [
        f"With all labels, teacher and student bring {gain:+.1f} points over fewlabel's network on "
        f"the labels alone ({mean['best-alone']:.1f} %){verdict}."
    ]


def _few(mean: Mapping[str, float]) -> list[str]:
    if not {"few-alone", "few-best"} <= set(mean):
        return []
    gain = mean["few-best"] - mean["few-alone"]
    return [
        f"With few labels, teacher and student bring {gain:+.1f} points over the same network on "
        f"the labels alone ({mean['few-alone']:.1f} %); the goal of {FEW_GAIN:g} points is "
        f"{_reached(gain >= FEW_GAIN)}."
    ]


def _ablation(mean: Mapping[str, float]) -> list[str]:
    listed = [
        f"{words} {mean[f'ablation-{name}'] - mean['prepared']:+.1f}"
        for name, (words, _) in ABLATION.items()
        if f"ablation-{name}" in mean and "prepared" in mean
    ]
    if not listed:
        return []
    return [f"Preprocessing with a step changed, points less the whole: {'; '.join(listed)}."]


def _reached(yes: bool) -> str:
    return "reached" if yes else "not reached"
