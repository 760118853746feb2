"""The studies by name."""

from __future__ import annotations

import difflib
import importlib

from fewlabel.errors import UsageError

from .protocol import Study

STUDIES = {
    "clusters-a": "clusters_a",
    "clusters-b": "clusters_b",
    "combo": "combo",
    "experts": "experts",
    "photos": "photos",
}
"""Name of each study and its folder."""


def find_study(name: str) -> Study:
    """Return a study by its name."""
    if name not in STUDIES:
        near = difflib.get_close_matches(name.lower().replace("_", "-"), STUDIES, n=2, cutoff=0.5)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        raise UsageError(f"There is no study {name!r}: choose among {', '.join(STUDIES)}.{meant}")
    module = importlib.import_module(f".{STUDIES[name]}.study", __package__)
    study: Study = module.STUDY
    return study
