"""What all classifiers of this package have in common: predictions, and the score."""

from typing import Any

import numpy as np

from fewlabel.data.task import Task


class ScoreOfLabeled:
    """A classifier's accuracy on the rows that are labeled, for one label a row or several.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        Classes, or names of the labels.
    task_ : Task
        One label a row, or several.
    """

    classes_: np.ndarray
    task_: Task

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable labels.

        Parameters
        ----------
        X : array-like
            Rows or images, as ``fit`` took them.

        Returns
        -------
        ndarray of shape (m,) or (m, K)
            Classes; or a table, int64, of 1 where a label is probable, else 0.
        """
        proba = self.predict_proba(X)  # type: ignore[attr-defined]
        return self.task_.decode(self.task_.predict(proba), self.classes_)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the fraction of labeled rows that are predicted right, in every known label.

        Parameters
        ----------
        X : array-like
            Rows or images, as ``fit`` took them.
        y : array-like of shape (m,) or (m, K)
            Labels, in the form in which ``fit`` took them; unlabeled rows do not count.
        sample_weight : array-like of shape (m,), optional
            Weight of each row.

        Returns
        -------
        float
            Accuracy, or exact match for several labels; NaN where nothing is labeled.
        """
        predicted = self.predict(X)
        task, who = self.task_, type(self).__name__
        codes = task.recode(y, self.classes_, len(predicted), who)
        rows = task.labeled(codes)
        if not len(rows):
            return float("nan")
        right = (codes == task.recode(predicted, self.classes_, len(predicted), who)) | (codes < 0)
        weights = None if sample_weight is None else np.asarray(sample_weight)[rows]
        return float(np.average(right.reshape(len(right), -1).all(axis=1)[rows], weights=weights))


class LabelClassifier(ScoreOfLabeled):
    """A classifier that predicts by its probabilities."""

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict probabilities.

        Parameters
        ----------
        X : array-like
            Rows or images, as ``fit`` took them.

        Returns
        -------
        ndarray of shape (m, K), float64
            Of the classes, rows that sum to 1; or of each label by itself.
        """
        raise NotImplementedError
