"""Spread a handful of labels over the unlabelled rest."""

from fewlabel.data.targets import encode_labels, one_hot
from fewlabel.propagate.clusters import ClusterPropagation, label_clusters, spread_to_percentile
from fewlabel.propagate.graph import (
    affinity_graph,
    class_mass_normalize,
    normalize_graph,
    poisson,
    spread,
)
from fewlabel.propagate.graph_propagation import GraphPropagation, chord, neighbor_average

__all__ = [
    "ClusterPropagation",
    "GraphPropagation",
    "affinity_graph",
    "chord",
    "class_mass_normalize",
    "encode_labels",
    "label_clusters",
    "neighbor_average",
    "normalize_graph",
    "one_hot",
    "poisson",
    "spread",
    "spread_to_percentile",
]
