"""What the study of photos shows, as sentences computed from its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..protocol import Published
from ..summary import RowSummary

GAIN = 2.0
"""Points that self-training is to bring."""

GOALS = {"random": 66.0, "selected": 72.0}
"""Accuracy in percent that is to be reached with labels chosen in each way."""

_LEARNS = 15.0


def failure(summaries: Sequence[RowSummary]) -> list[str]:
    """Say whether a network from random weights learns."""
    s = _measured(summaries).get("scratch")
    if s is None or s.mean is None:
        return []
    majority = 100 * s.extra["majority"]
    verdict = "does not learn" if s.mean - majority < _LEARNS else "learns something"
    return [
        f"From random weights the network {verdict}: {s.mean:.1f} % of the held-out photos, where "
        f"the most frequent class alone would be right for {majority:.1f} %; its training loss "
        f"ends at {s.extra['final_loss']:.2f}."
    ]


def pretrained(summaries: Sequence[RowSummary]) -> list[str]:
    """Say what pretraining and fine-tuning bring."""
    mean = _means(summaries)
    if not {"probe", "fine-tuned-random"} <= set(mean):
        return []
    gain = mean["fine-tuned-random"] - mean["probe"]
    return [
        f"From pretrained weights a linear probe has {mean['probe']:.1f} %, and fine-tuning "
        f"{mean['fine-tuned-random']:.1f} % ({gain:+.1f} points)."
    ]


def self_training(summaries: Sequence[RowSummary]) -> list[str]:
    """Say what self-training brings over the same network without it."""
    found, sentences = _measured(summaries), []
    for how in GOALS:
        s, before = found.get(f"self-training-{how}"), found.get(f"fine-tuned-{how}")
        if s is None or before is None or s.mean is None or before.mean is None:
            continue
        gain = s.mean - before.mean
        reached = "reached" if gain >= GAIN else "not reached"
        text = (
            f"Self-training with {how} labels: {gain:+.2f} points over the same network without "
            f"it, mean of {len(s.seeds)} seed(s); the goal of {GAIN:g} points is {reached}"
        )
        if s.extra["accepted"]:
            right = s.extra["accepted_right"] / s.extra["accepted"]
            text += (
                f"; the last round was trained on {s.extra['accepted']:,.0f} pseudo-labels on "
                f"average, of which {100 * right:.0f} % are right, and {s.extra['revoked']:,.0f} "
                "had been revoked"
            )
        sentences.append(f"{text}.")
    return sentences


def selection(summaries: Sequence[RowSummary]) -> list[str]:
    """Say what choosing the labels brings."""
    mean = _means(summaries)
    gains = [
        f"{words} {mean[f'{name}-selected'] - mean[f'{name}-random']:+.1f}"
        for name, words in (
            ("fine-tuned", "fine-tuning"),
            ("self-training", "self-training"),
            ("default", "fewlabel's default"),
        )
        if {f"{name}-random", f"{name}-selected"} <= set(mean)
    ]
    return [f"Selected in place of random labels, points: {', '.join(gains)}."] if gains else []


def goals(summaries: Sequence[RowSummary]) -> list[str]:
    """Say whether the accuracy that the project set itself is reached."""
    found = _measured(summaries)
    if any(s.published is not None for s in summaries):
        return []
    sentences = []
    for how, goal in GOALS.items():
        rows = [s for name, s in found.items() if name.endswith(f"-{how}")]
        if not rows:
            continue
        top = max(rows, key=lambda s: s.mean or 0.0)
        assert top.mean is not None
        verdict = "reached" if top.mean >= goal else "not reached"
        sentences.append(
            f"The goal of {goal:g} % with {how} labels is {verdict}: {top.row.model} has "
            f"{top.mean:.1f} %."
        )
    return sentences


def published(summaries: Sequence[RowSummary], figures: Mapping[str, Published]) -> list[str]:
    """Give the published figures where they are of other photos than the rows."""
    if not _means(summaries) or any(s.published is not None for s in summaries):
        return []
    told = "; ".join(f"{p.model} {p.accuracy:g} %" for p in figures.values())
    return [
        f"Published, on the photos of Food-11 with 11 classes, so beside these rows and no target "
        f"for them: from scratch not learnt; {told}."
    ]


def _measured(summaries: Sequence[RowSummary]) -> dict[str, RowSummary]:
    return {s.row.id: s for s in summaries if s.mean is not None}


def _means(summaries: Sequence[RowSummary]) -> dict[str, float]:
    return {s.row.id: s.mean for s in summaries if s.mean is not None}
