"""Whether each published claim held, from the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..summary import RowSummary

_RIVALS = ("ova", "ova-over", "ova-under", "own")
_SETS = ("mnist", "fashion-mnist")


def sentences(summaries: Sequence[RowSummary], claims: Mapping[str, str]) -> list[str]:
    """Say of each claim whether it held."""
    found = {summary.row.id: summary for summary in summaries if summary.mean is not None}
    said = []
    for data in _SETS:
        said += _pseudo_labels(found, data) + _costs(found, data) + _accuracy(found, data)
    return [*said, *_balance(found), *_imbalance(found)]


def _pseudo_labels(found: Mapping[str, RowSummary], data: str) -> list[str]:
    experts = found.get(f"{data}-500-experts-1")
    rivals = [found[f"{data}-500-{name}"] for name in _RIVALS if f"{data}-500-{name}" in found]
    if experts is None or not rivals:
        return []
    mine = experts.extra["precision_covered"]
    best = max(rivals, key=lambda rival: rival.extra["precision_covered"])
    theirs = best.extra["precision_covered"]
    return [
        f"Better pseudo-labels ({data}, 500 labels, the surest half): "
        f"**{_held(mine >= theirs)}**: {mine:.1f} % of the experts' are right, and {theirs:.1f} % "
        f"of the best rival's ({best.row.model})."
    ]


def _costs(found: Mapping[str, RowSummary], data: str) -> list[str]:
    once, rival = found.get(f"{data}-500-experts-1"), found.get(f"{data}-500-ova")
    # Where one round does not help, its experts are not kept, and take no room.
    kept = found.get(f"{data}-500-experts")
    if once is None or rival is None or kept is None:
        return []
    said = []
    for name, experts, words, goal in (
        ("train_seconds", once, "Less training time than ten networks, one round", 4),
        ("kilobytes", kept, "Less storage than ten networks", 5),
    ):
        times = rival.extra[name] / experts.extra[name]
        reached = "reached" if times >= goal else "not reached"
        said.append(
            f"{words} ({data}, 500 labels): **{_held(times > 1)}**: "
            f"1/{times:.1f} of theirs (goal 1/{goal}: {reached})."
        )
    return said


def _accuracy(found: Mapping[str, RowSummary], data: str) -> list[str]:
    said = []
    for n in (100, 500, 1_000, 2_000):
        experts, alone = found.get(f"{data}-{n}-experts"), found.get(f"{data}-{n}-supervised")
        if experts is None or alone is None or experts.mean is None or alone.mean is None:
            continue
        gain = experts.mean - alone.mean
        said.append(
            f"A better network ({data}, {n:,} labels): **{_held(gain > 0)}**: "
            f"{experts.mean:.1f} % against {alone.mean:.1f} % by the labels alone "
            f"({gain:+.1f} points)."
        )
    return said


def _balance(found: Mapping[str, RowSummary]) -> list[str]:
    loss = found.get("fashion-mnist-500-experts")
    names = {
        "ablation-over-sampling": "over-sampling",
        "ablation-under-sampling": "under-sampling",
        "ablation-no-balance": "no balance at all",
    }
    others = [(names[name], found[name]) for name in names if name in found]
    if loss is None or loss.mean is None or not others:
        return []
    listed = ", ".join(f"{name} {other.mean:.1f} %" for name, other in others)
    held = _held(loss.mean >= max(other.mean or 0.0 for _, other in others) - 0.5)
    return [
        f"No resampling is needed (fashion-mnist, 500 labels): **{held}**: {loss.mean:.1f} % with "
        f"a balanced loss; {listed}."
    ]


def _imbalance(found: Mapping[str, RowSummary]) -> list[str]:
    rows = [(name, row) for name, row in found.items() if name.startswith("imbalanced-")]
    if not rows:
        return []
    listed = "; ".join(
        f"{row.row.model} {row.extra['balanced']:.1f} % ({row.extra['worst_class']:.1f} %)"
        for _, row in rows
    )
    return [f"With class counts from 1 to 1/50, balanced accuracy (worst class): {listed}."]


def _held(yes: bool) -> str:
    return "held" if yes else "did not hold"
