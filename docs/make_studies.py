"""Write what was measured into the pages of ``docs/studies``: ``make docs``.

The figures of a page come from the study's ``ours.csv`` and from nowhere else. After a full run
copy that file from the run's folder::

    fewlabel reproduce clusters-a --out run
    cp run/ours.csv experiments/fewlabel_experiments/clusters_a/
    make docs

The study of photos has curves and pictures besides: copy ``training.csv`` too, and
``cp run/photos-*.jpg docs/images/``. That of two characters has pictures:
``cp run/combo-*.png docs/images/``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from fewlabel_experiments import protocol, registry, summary, tables

DOCS = Path(__file__).parent
BEGIN = "<!-- Written by `make docs` from ours.csv: do not change it here. -->"
END = "<!-- End of what `make docs` writes. -->"


def page_of(name: str) -> Path:
    """Give the page of a study."""
    return DOCS / "studies" / f"{name}.md"


def measured(name: str) -> str:
    """Write the tables of a study."""
    study = registry.find_study(name)
    rows = study.rows(study.config(protocol.Settings()))
    summaries = summary.read_ours(study, rows)
    return f"{BEGIN}\n\n{tables.page(study, summaries)}\n{END}"


def draw(name: str, folder: Path) -> list[Path]:
    """Draw the figures of a study."""
    study = registry.find_study(name)
    rows = study.rows(study.config(protocol.Settings()))
    drawn: list[Path] = study.figures(summary.read_ours(study, rows), folder)
    return drawn


def renewed(text: str, block: str) -> str:
    """Put a new block in place of the old one."""
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    return pattern.sub(lambda _: block, text)


if __name__ == "__main__":
    for name in registry.STUDIES:
        page = page_of(name)
        page.write_text(renewed(page.read_text("utf-8"), measured(name)), encoding="utf-8")
        for file in draw(name, DOCS / "images"):
            sys.stdout.write(f"wrote {file}\n")
        sys.stdout.write(f"wrote {page}\n")
