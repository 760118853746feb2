"""Label propagation over graphs and clusters, and the main job's classifier on features."""

from fewlabel.graph.candidates import MainFit, deal_folds, fit_main, spread_entropy
from fewlabel.graph.classifier import FewLabelClassifier
from fewlabel.graph.clusters import ClusterPropagation, label_clusters, spread_to_percentile
from fewlabel.graph.neighbor_graph import poisson, spread
from fewlabel.graph.propagation import GraphPropagation

__all__ = [
    "ClusterPropagation",
    "FewLabelClassifier",
    "GraphPropagation",
    "MainFit",
    "deal_folds",
    "fit_main",
    "label_clusters",
    "poisson",
    "spread",
    "spread_entropy",
    "spread_to_percentile",
]
