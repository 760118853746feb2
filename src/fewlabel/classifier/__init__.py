"""The classifier of the main job, on features."""

from fewlabel.classifier.estimator import FewLabelClassifier

__all__ = ["FewLabelClassifier"]
