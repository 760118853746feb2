"""Print the records of ``fewlabel bench`` as a Markdown table.

Use: ``python benchmarks/table.py benchmarks/results/accuracy.jsonl ...``
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean, median, stdev

COLUMNS = (
    "data",
    "labels",
    "chosen by",
    "fewlabel %",
    "supervised baseline %",
    "confidence %",
    "calibration error %",
    "features / select / fit / predict s",
    "peak MB",
)


def main(files: list[str]) -> None:
    """Group the runs by everything but the seed, and print a row a group."""
    groups = defaultdict(list)
    for file in files:
        for line in Path(file).read_text().splitlines():
            run = json.loads(line)
            groups[run["dataset"], run["selection"], run["n_labeled"]].append(run)
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---" * len(COLUMNS) + "|")
    for (dataset, selection, n_labeled), runs in sorted(groups.items()):
        stages = [
            f"{median(run['seconds'][stage] for run in runs):.0f}"
            for stage in ("features", "select", "fit", "predict")
        ]
        cells = (
            dataset,
            f"{n_labeled:,}",
            selection,
            _spread([run["accuracy"] for run in runs]),
            _spread([run["supervised_accuracy"] for run in runs]),
            # Records of earlier versions have neither.
            *(
                _spread([run[name] for run in runs]) if all(name in run for run in runs) else "–"
                for name in ("mean_confidence", "expected_calibration_error")
            ),
            " / ".join(stages),
            f"{max(run['peak_rss_mb'] for run in runs):,.0f}",
        )
        print("| " + " | ".join(cells) + " |")


def _spread(shares: list[float]) -> str:
    deviation = f" ± {100 * stdev(shares):.1f}" if len(shares) > 1 else ""
    return f"{100 * mean(shares):.1f}{deviation}"


if __name__ == "__main__":
    main(sys.argv[1:])
