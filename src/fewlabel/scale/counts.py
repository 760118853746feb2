"""What a prediction of many images comes to, counted block by block."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from fewlabel.data import Skipped
from fewlabel.model import Model

_NAMED = 3


@dataclass
class _Counts:
    """What is said of the predictions, counted block by block."""

    n_rows: int = 0
    n_failed: int = 0
    n_unlike: int = 0
    has_unlike: bool = False
    failed: list[Skipped] = field(default_factory=list)
    n_of: Counter[str] = field(default_factory=Counter)
    confidence_of: Counter[str] = field(default_factory=Counter)

    def add(self, block: pa.Table) -> None:
        """Count a block."""
        self.n_rows += len(block)
        errors = block["error"].to_pylist()
        for row in np.flatnonzero([error is not None for error in errors]):
            self.n_failed += 1
            if len(self.failed) < _NAMED:
                self.failed.append(Skipped(block["name"][int(row)].as_py(), errors[row]))
        if "label" not in block.column_names:
            return
        if "unlike" in block.column_names:
            self.has_unlike = True
            self.n_unlike += block["unlike"].to_pylist().count(True)
        grouped = block.group_by("label").aggregate(
            [("confidence", "sum"), ("confidence", "count")]
        )
        for row in grouped.to_pylist():
            if row["label"] is not None:
                self.n_of[row["label"]] += row["confidence_count"]
                self.confidence_of[row["label"]] += row["confidence_sum"]

    def summary(self, model: Model) -> dict[str, Any]:
        """Return the counts in the form that the command prints."""
        n, novelty = self.n_of.total(), model.novelty
        unlike = None
        if novelty is not None and self.has_unlike:
            unlike = novelty.alarms.summary(self.n_unlike, n, "images")
        accepted = {text: count for text, count in self.n_of.items() if text}
        n_accepted = sum(accepted.values())
        total = float(sum(self.confidence_of[text] for text in accepted))
        return {
            "n_images": n,
            "n_skipped": self.n_failed,
            "failed": self.failed,
            "n_accepted": n_accepted,
            "mean_confidence": total / n_accepted if n_accepted else None,
            "unlike": unlike,
            "classes": {
                text: {"n_images": count, "mean_confidence": self.confidence_of[text] / count}
                for text, count in sorted(accepted.items())
            },
        }
