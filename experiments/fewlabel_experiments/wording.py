"""What a comparison shows, as sentences computed from its figures."""

from __future__ import annotations

from collections.abc import Sequence

from .protocol import Published
from .summary import RowSummary

COLLAPSE = 15.0
"""Accuracy in percent below which a model of ten classes counts as collapsed."""


def within(summaries: Sequence[RowSummary], points: float) -> list[str]:
    """Say which published figures are repeated.

    A published row that several of ours read in different ways counts by the best of them.
    """
    best: dict[tuple[str, str], float] = {}
    for s in summaries:
        if s.difference is not None and s.row.published is not None:
            key = (s.row.model, s.row.published)
            best[key] = max(s.difference, best.get(key, s.difference))
    sentences = []
    for model in dict.fromkeys(model for model, _ in best):
        own = {name: value for (m, name), value in best.items() if m == model}
        short = [f"`{name}` ({value:+.1f})" for name, value in own.items() if value < -points]
        text = (
            f"{model.capitalize()}: {len(own) - len(short)} of {len(own)} published figures are "
            f"reached within {points:g} points or passed"
        )
        sentences.append(f"{text}; not {', '.join(short)}." if short else f"{text}.")
    return sentences


def readings(summaries: Sequence[RowSummary]) -> list[str]:
    """Say what the two readings of "label the centroid" give."""
    mean = {s.row.id: s.mean for s in summaries if s.mean is not None}
    pairs = [
        (s.row.model, s.row.n_labeled, s.mean, mean[other])
        for s in summaries
        if s.mean is not None
        and (other := s.row.id.replace("-medoids", "-centroids")) != s.row.id
        and other in mean
    ]
    sentences = []
    for model in dict.fromkeys(pair[0] for pair in pairs):
        gaps = [(n, medoid - centroid) for m, n, medoid, centroid in pairs if m == model]
        listed = ", ".join(f"{gap:+.1f} at {n:,}" for n, gap in gaps)
        sentences.append(
            f"Medoids less centroids, points of {model}: {listed}. A medoid is an image that a "
            "person can label; a centroid is a mean of images that nobody took."
        )
    return sentences


def spreads(summaries: Sequence[RowSummary]) -> list[str]:
    """Say what spreading the labels brought, and how many of them were right."""
    mean = {s.row.id: s.mean for s in summaries if s.mean is not None}
    gains: dict[str, list[str]] = {}
    for s in summaries:
        start, _, part = s.row.id.rpartition("-")
        base, right = mean.get(f"{start}-medoids"), s.extra.get("label_precision")
        is_spread = "label spread to" in s.row.setting
        if s.mean is None or base is None or right is None or not is_spread:
            continue
        share = "whole" if part == "whole" else f"{part.removeprefix('nearest')} %"
        gains.setdefault(s.row.model, []).append(
            f"{s.row.n_labeled:,} clusters, {share}: {s.mean - base:+.1f} ({100 * right:.0f} %)"
        )
    return [
        f"Spread labels less the medoids alone, points of {model} (share of right labels): "
        f"{'; '.join(listed)}."
        for model, listed in gains.items()
    ]


def collapse(summaries: Sequence[RowSummary], name: str) -> list[str]:
    """Say whether a model collapsed to guessing."""
    found = {s.row.id: s for s in summaries if s.mean is not None}
    s = found.get(name)
    if s is None or s.least is None:
        return []
    facts = (
        f"{s.extra.get('n_train', 0):,.0f} images carry a label and "
        f"{100 * s.extra.get('label_precision', 0):.1f} % of these labels are right"
    )
    linear = found.get(name.replace("network", "lr"))
    beside = (
        "" if linear is None else f"; logistic regression reaches {linear.mean:.1f} % from them"
    )
    if s.least < COLLAPSE:
        return [
            f"The published collapse at the 20th percentile happens here: {s.least:.1f} % with "
            f"at least one seed, though {facts}{beside}."
        ]
    return [
        f"The published collapse at the 20th percentile does not happen: no seed is below "
        f"{s.least:.1f} %. Nothing in the data calls for one: {facts}{beside}. An accuracy of "
        "10 % is that of one class for every image, so what failed there was the training of "
        "that network and not the labels."
    ]


def reaches(summaries: Sequence[RowSummary], target: Published) -> list[str]:
    """Say with how many labels fewlabel's default reaches a published figure."""
    default = sorted(
        (s.row.n_labeled, s.mean) for s in summaries if s.row.beyond and s.mean is not None
    )
    comparable = any(s.published is not None for s in summaries)
    if not default or not comparable:
        return []
    figure = f"the published {target.accuracy:g} % ({target.setting}, {target.model})"
    for n_labeled, mean in default:
        if mean >= target.accuracy:
            return [f"fewlabel's default reaches {figure} with {n_labeled:,} labels: {mean:.1f} %."]
    n_labeled, mean = default[-1]
    return [
        f"fewlabel's default does not reach {figure}: with {n_labeled:,} labels it has "
        f"{mean:.1f} %."
    ]
