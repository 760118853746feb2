"""From a folder of images and a handful of labels to a classifier you can trust.

The public names, loaded when they are first used: ``import fewlabel`` alone imports neither
torch nor scikit-learn.
"""

import importlib
from typing import TYPE_CHECKING, Any

from fewlabel.threads import _calm_threads

if TYPE_CHECKING:
    from fewlabel.cluster.kmeans import KMeans
    from fewlabel.cluster.neighbors import NeighborIndex, nearest_neighbors
    from fewlabel.cluster.representatives import Representatives
    from fewlabel.data import load_images, read_labels
    from fewlabel.features.distances import ClusterDistances
    from fewlabel.features.patches import PatchDictionary
    from fewlabel.features.reduce import DampedPCA
    from fewlabel.graph import ClusterPropagation, FewLabelClassifier, GraphPropagation
    from fewlabel.nets import NetworkClassifier
    from fewlabel.pipeline import FitSettings, extract_features, fit_images, select_images
    from fewlabel.runs.folder import evaluate_run, save_run
    from fewlabel.runs.image_classifier import FewLabelImageClassifier
    from fewlabel.runs.model import load_run
    from fewlabel.semisupervised import BinaryExperts, SelfTraining, TeacherStudent

__version__ = "0.2.0"

# Here, since torch reads it when it is loaded: a script beside other programs must not be slower
# than the command line.
_calm_threads()

_HOME = {
    "BinaryExperts": "semisupervised",
    "ClusterDistances": "features.distances",
    "ClusterPropagation": "graph",
    "DampedPCA": "features.reduce",
    "FewLabelClassifier": "graph",
    "FewLabelImageClassifier": "runs.image_classifier",
    "FitSettings": "pipeline",
    "GraphPropagation": "graph",
    "KMeans": "cluster.kmeans",
    "NeighborIndex": "cluster.neighbors",
    "NetworkClassifier": "nets",
    "PatchDictionary": "features.patches",
    "Representatives": "cluster.representatives",
    "SelfTraining": "semisupervised",
    "TeacherStudent": "semisupervised",
    "evaluate_run": "runs.folder",
    "extract_features": "pipeline",
    "fit_images": "pipeline",
    "load_images": "data",
    "load_run": "runs.model",
    "nearest_neighbors": "cluster.neighbors",
    "read_labels": "data",
    "save_run": "runs.folder",
    "select_images": "pipeline",
}

__all__ = [
    "BinaryExperts",
    "ClusterDistances",
    "ClusterPropagation",
    "DampedPCA",
    "FewLabelClassifier",
    "FewLabelImageClassifier",
    "FitSettings",
    "GraphPropagation",
    "KMeans",
    "NeighborIndex",
    "NetworkClassifier",
    "PatchDictionary",
    "Representatives",
    "SelfTraining",
    "TeacherStudent",
    "__version__",
    "evaluate_run",
    "extract_features",
    "fit_images",
    "load_images",
    "load_run",
    "nearest_neighbors",
    "read_labels",
    "save_run",
    "select_images",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fewlabel' has no attribute {name!r}")
    return getattr(importlib.import_module(f"fewlabel.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
