"""The longer road: networks join the graph, for as long as the time budget allows.

The graph spreads the labels over features that know no labels. A network learns from what the
graph says, or from the labels and from itself, and sees more than the features did; joined with
them, it gives the graph better neighbors. Every way is tested on labels that it was not shown,
and the road is left where it does not do as well as the main job.
"""

from __future__ import annotations

from fewlabel.network_road.problem import read_pixels
from fewlabel.network_road.road import (
    DEFAULT_SECONDS,
    FEWEST_LABELS,
    LEAST_SECONDS,
    METHODS,
    NetworkRoad,
    RoadClosed,
    follow_network_road,
    student_settings,
)

__all__ = [
    "DEFAULT_SECONDS",
    "FEWEST_LABELS",
    "LEAST_SECONDS",
    "METHODS",
    "NetworkRoad",
    "RoadClosed",
    "follow_network_road",
    "read_pixels",
    "student_settings",
]
