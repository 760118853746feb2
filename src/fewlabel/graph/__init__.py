"""Label propagation over graphs and clusters, and the main job's classifier on features."""

from fewlabel.data.targets import encode_labels, one_hot
from fewlabel.graph.classifier import FewLabelClassifier, deal_folds
from fewlabel.graph.clusters import ClusterPropagation, label_clusters, spread_to_percentile
from fewlabel.graph.neighbor_graph import (
    affinity_graph,
    class_mass_normalize,
    normalize_graph,
    poisson,
    spread,
)
from fewlabel.graph.propagation import GraphPropagation, chord, neighbor_average

__all__ = [
    "ClusterPropagation",
    "FewLabelClassifier",
    "GraphPropagation",
    "affinity_graph",
    "chord",
    "class_mass_normalize",
    "deal_folds",
    "encode_labels",
    "label_clusters",
    "neighbor_average",
    "normalize_graph",
    "one_hot",
    "poisson",
    "spread",
    "spread_to_percentile",
]
