"""From a run's records to what the templates print: rows, sentences and charts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from fewlabel.evaluate import CandidateScore
from fewlabel.report.inputs import Gallery, ReportInputs
from fewlabel.report.multilabel_inputs import MultiLabelReportInputs
from fewlabel.report.plots import candidates_figure, confidence_figure
from fewlabel.report.scatter import PALETTE, class_color, map_figure
from fewlabel.report.scoring import Scored, View
from fewlabel.report.svg import printable
from fewlabel.report.thumbnails import is_tiny, thumbnail_uri


def duel_view(inputs: ReportInputs | MultiLabelReportInputs) -> View | None:
    """Compare learning from the unlabelled images too with learning from the labels alone.

    Parameters
    ----------
    inputs : ReportInputs or MultiLabelReportInputs
        The run.

    Returns
    -------
    dict or None
        ``sentence`` and ``rows`` (name, value, kept); None where only one side was tried.
    """
    baseline = next((c for c in inputs.candidates if c.name == inputs.supervised_name), None)
    kept = next((c for c in inputs.candidates if c.chosen), None)
    if baseline is not None and kept is not None and kept.name in inputs.labels_only:
        return _kept_without_them(baseline, kept)
    rivals = [
        c for c in inputs.candidates if c is not baseline and c.name not in inputs.labels_only
    ]
    if baseline is None or not rivals:
        return None
    # Against the method that was kept; where the baseline was kept, against its best rival.
    rival = max(rivals, key=lambda c: (c.chosen, c.accuracy))
    return {
        "sentence": _verdict(baseline, rival),
        "rows": [
            {"name": "With unlabelled images", "value": rival.accuracy, "kept": rival.chosen},
            {
                "name": "Labels alone (baseline)",
                "value": baseline.accuracy,
                "kept": baseline.chosen,
            },
        ],
    }


def _kept_without_them(baseline: CandidateScore, kept: CandidateScore) -> View:
    gain = 100 * (kept.accuracy - baseline.accuracy)
    return {
        "sentence": "No: what was kept learned from the labels alone, as the baseline did. It is "
        f"another model, {gain:+.1f} points from it.",
        "rows": [
            {"name": "Kept, on the labels alone", "value": kept.accuracy, "kept": True},
            {"name": "Labels alone (baseline)", "value": baseline.accuracy, "kept": False},
        ],
    }


def _verdict(baseline: CandidateScore, rival: CandidateScore) -> str:
    gain = 100 * (rival.accuracy - baseline.accuracy)
    if abs(gain) < 0.05:
        text = "No: with and without them, the accuracy is the same."
    elif gain > 0:
        text = f"Yes: they add {gain:.1f} points of accuracy."
    else:
        text = f"No: the supervised baseline, on the labels alone, wins by {-gain:.1f} points."
    # The errors are of the difference from the most accurate, which has none itself.
    noise = 200 * max(baseline.se, rival.se)
    if 0.05 <= abs(gain) <= noise:
        text += " That may be luck: it is within two standard errors."
    if baseline.chosen:
        return text + " The baseline was kept."
    if gain < -0.05 and rival.chosen:
        return text + " See below why the other method was kept all the same."
    return text


def class_rows(inputs: ReportInputs, scored: Scored) -> list[View]:
    """Count labels, predictions and right answers of each class.

    Parameters
    ----------
    inputs : ReportInputs
        The run.
    scored : Scored
        The images on which right answers are counted.

    Returns
    -------
    list of dict
        One row a class, in the order of ``inputs.classes``.
    """
    n_classes = len(inputs.classes)
    predicted = np.bincount(inputs.predictions, minlength=n_classes)
    given = inputs.predictions[inputs.origin == "label"]
    labeled = np.bincount(given, minlength=n_classes)
    sums = np.bincount(
        inputs.predictions, np.nan_to_num(inputs.confidence, nan=0.0), minlength=n_classes
    )
    counts = scored.counts
    return [
        {
            "name": printable(name, limit=60),
            "color": class_color(k),
            "labeled": int(labeled[k]),
            "predicted": int(predicted[k]),
            "share": float(predicted[k] / max(predicted.max(), 1)),
            "confidence": float(sums[k] / predicted[k]) if predicted[k] else None,
            "right": int(counts[k, k]),
            "scored": int(counts[k].sum()),
        }
        for k, name in enumerate(inputs.classes)
    ]


def map_view(inputs: ReportInputs) -> View | None:
    """Draw the map of the images.

    Parameters
    ----------
    inputs : ReportInputs
        The run.

    Returns
    -------
    dict or None
        ``svg``, ``shown`` and ``repeats`` (whether colours repeat); None without a map.
    """
    if inputs.map_xy is None or inputs.map_index is None or len(inputs.map_index) == 0:
        return None
    index = inputs.map_index
    svg = map_figure(
        inputs.map_xy,
        inputs.predictions[index],
        inputs.confidence[index],
        inputs.origin[index] == "label",
        inputs.classes,
    )
    return {"svg": svg, "shown": len(index), "repeats": len(inputs.classes) > len(PALETTE)}


def confidence_view(inputs: ReportInputs | MultiLabelReportInputs) -> View:
    """Draw how sure the predictions are.

    Parameters
    ----------
    inputs : ReportInputs or MultiLabelReportInputs
        The run.

    Returns
    -------
    dict
        ``svg`` and ``caption``.
    """
    names = (("propagated", "label propagated"), ("model", "by the model alone"))
    groups = [(text, inputs.confidence[inputs.origin == key]) for key, text in names]
    groups = [(text, values) for text, values in groups if len(values)]
    rest = inputs.confidence[inputs.origin != "label"]
    unsure = int((rest < 0.5).sum())
    caption = (
        f"{len(rest):,} images without a label: {int((rest >= 0.9).sum()):,} are predicted with "
        f"at least 90 % confidence, {unsure:,} with less than 50 %."
    )
    return {"svg": confidence_figure(groups or [("none", rest)]), "caption": caption}


def gallery_views(galleries: Sequence[Gallery]) -> list[View]:
    """Encode the pictures of the galleries.

    Parameters
    ----------
    galleries : sequence of Gallery
        Galleries; the empty ones are left out.

    Returns
    -------
    list of dict
        ``title``, ``caption``, ``tiny``, ``paired`` and ``items`` (uri, beside, alt, label,
        confidence, note, name).
    """
    views = []
    for gallery in galleries:
        items = [
            {
                "uri": thumbnail_uri(item.image),
                "beside": "" if item.beside is None else thumbnail_uri(item.beside),
                "alt": f"{printable(item.name, limit=80)}: {printable(item.label, limit=60)}",
                "label": printable(item.label, limit=60),
                "confidence": item.confidence,
                "note": item.note,
                "name": printable(item.name),
                "short": printable(item.name, limit=16),
            }
            for item in gallery.items
        ]
        if items:
            tiny = all(is_tiny(item.image) for item in gallery.items)
            views.append(
                {
                    "title": gallery.title,
                    "caption": gallery.caption,
                    "tiny": tiny,
                    "paired": any(item["beside"] for item in items),
                    "items": items,
                }
            )
    return views


def time_rows(seconds: Any) -> list[View]:
    """List the stages and their share of the longest; ``total`` comes last and has none.

    Parameters
    ----------
    seconds : mapping of str to float
        Time of each stage.

    Returns
    -------
    list of dict
        Name, seconds and share.

    Examples
    --------
    >>> [row["share"] for row in time_rows({"total": 3.0, "features": 2.0, "fit": 1.0})]
    [1.0, 0.5, None]
    """
    stages = [(name, float(value)) for name, value in seconds.items() if name != "total"]
    longest = max((value for _, value in stages), default=0.0) or 1.0
    rows: list[View] = [
        {"name": name, "seconds": value, "share": value / longest} for name, value in stages
    ]
    if "total" in seconds:
        rows.append({"name": "total", "seconds": float(seconds["total"]), "share": None})
    return rows


def candidates_svg(inputs: ReportInputs | MultiLabelReportInputs) -> Markup:
    """Draw the candidates, or nothing where there are none.

    Parameters
    ----------
    inputs : ReportInputs or MultiLabelReportInputs
        The run.

    Returns
    -------
    markupsafe.Markup
        Inline SVG, or an empty string.
    """
    if not inputs.candidates:
        return Markup()
    return candidates_figure(inputs.candidates, inputs.supervised_name, n_se=inputs.n_se)
