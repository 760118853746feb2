"""A trained model: saved, loaded safely, and used to predict."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.data import ImageSet, MultiLabel, SingleLabel, Task
from fewlabel.data.label_texts import label_texts
from fewlabel.errors import ModelFormatError, RunFolderError
from fewlabel.evaluate import AccuracyEstimate
from fewlabel.features.choose import FeatureExtractor, extractor_from_state
from fewlabel.graph.multilabel import MultiLabelClassifier
from fewlabel.graph.state import classifier_from_state, classifier_state
from fewlabel.multilabel_fit import all_right
from fewlabel.persist import load_bundle, save_bundle
from fewlabel.pipeline import FitResult, MultiLabelFit, Progress
from fewlabel.semisupervised.label_network import LabelNetwork, PixelReader

MODEL_KIND = "classifier"
_SEVERAL = "several labels"


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of some images.

    Attributes
    ----------
    label : ndarray of shape (n,), dtype int64
        Position in ``classes`` of the most probable class.
    confidence : ndarray of shape (n,)
        Its probability.
    proba : ndarray of shape (n, K)
        Probability of each class.
    classes : tuple of str
        Names of the classes.
    seconds : dict of str to float
        Time of each stage.
    """

    label: np.ndarray
    confidence: np.ndarray
    proba: np.ndarray
    classes: tuple[str, ...]
    seconds: dict[str, float]

    @property
    def texts(self) -> list[str]:
        """The label of each image as text."""
        return [self.classes[i] for i in self.label.tolist()]

    def by_class(self) -> dict[str, dict[str, Any]]:
        """Count the predictions of each class.

        Returns
        -------
        dict of str to dict
            ``n_images`` and ``mean_confidence`` of each class, None where it has no image.
        """
        return {
            name: _count(self.confidence[self.label == code])
            for code, name in enumerate(self.classes)
        }


@dataclass(frozen=True, eq=False)
class MultiLabelPrediction:
    """What a model says of some images, each of which may have several labels.

    Attributes
    ----------
    label : ndarray of shape (n, K), dtype int64
        1 where a label is present, else 0.
    confidence : ndarray of shape (n,)
        Probability that all labels of an image are right, taken one by one.
    proba : ndarray of shape (n, K)
        Probability of each label.
    classes : tuple of str
        Names of the labels.
    seconds : dict of str to float
        Time of each stage.
    """

    label: np.ndarray
    confidence: np.ndarray
    proba: np.ndarray
    classes: tuple[str, ...]
    seconds: dict[str, float]

    @property
    def texts(self) -> list[str]:
        """The labels of each image as text, such as ``"cat|dog"``; ``"|"`` for none."""
        return label_texts(self.label, self.classes)

    def by_class(self) -> dict[str, dict[str, Any]]:
        """Count the predictions of each label.

        Returns
        -------
        dict of str to dict
            ``n_images`` and ``mean_confidence``, the mean probability, of each label.
        """
        return {
            name: _count(self.proba[self.label[:, column] == 1, column])
            for column, name in enumerate(self.classes)
        }


def _count(confidence: np.ndarray) -> dict[str, Any]:
    mean = float(confidence.mean()) if len(confidence) else None
    return {"n_images": len(confidence), "mean_confidence": mean}


class Run:
    """A trained model, ready to predict.

    A model of several labels is a `MultiLabelRun`.

    Parameters
    ----------
    extractor : FeatureExtractor
        What turns images into features.
    classifier : FewLabelClassifier
        What turns features into probabilities.
    classes : tuple of str
        Names of the classes.
    meta : dict
        What was saved beside the model: the estimate, the white level of 16-bit images.
    """

    task: Task = SingleLabel()

    def __init__(
        self,
        extractor: FeatureExtractor | PixelReader,
        classifier: Any,
        classes: tuple[str, ...],
        meta: dict[str, Any],
    ) -> None:
        self.extractor = extractor
        self.classifier = classifier
        self.classes = classes
        self.meta = meta

    @property
    def white_level(self) -> int | None:
        """Value that 16-bit training images had as white; give it to ``load_images``."""
        level = self.meta.get("white_level")
        return None if level is None else int(level)

    @property
    def expected(self) -> AccuracyEstimate | None:
        """The accuracy that ``fit`` expected, if it could be estimated."""
        saved = self.meta.get("estimate")
        if not saved or saved.get("value") is None:
            return None
        return AccuracyEstimate(**saved)

    def predict(self, images: ImageSet, *, progress: Progress | None = None) -> Prediction:
        """Predict the classes of images.

        Parameters
        ----------
        images : ImageSet
            Any images.
        progress : callable, optional
            Called as ``progress(stage, done, total)``.

        Returns
        -------
        Prediction
            Classes and calibrated probabilities.
        """
        start = time.perf_counter()
        features = self.extractor.transform(images, progress=progress)
        middle = time.perf_counter()
        proba = np.zeros((len(images), len(self.classes)))
        proba[:, self.classifier.classes_] = self.classifier.predict_proba(features)
        seconds = {"features": middle - start, "predict": time.perf_counter() - middle}
        return Prediction(proba.argmax(axis=1), proba.max(axis=1), proba, self.classes, seconds)


class MultiLabelRun(Run):
    """A trained model of several labels an image, ready to predict.

    Parameters
    ----------
    extractor : FeatureExtractor or PixelReader
        What turns images into features, or into the pixels that a network takes.
    classifier : MultiLabelClassifier or LabelNetwork
        What turns those into probabilities.
    classes : tuple of str
        Names of the labels.
    meta : dict
        What was saved beside the model.
    """

    task = MultiLabel()

    def predict(  # type: ignore[override]
        self, images: ImageSet, *, progress: Progress | None = None
    ) -> MultiLabelPrediction:
        """Predict the labels of images.

        Parameters
        ----------
        images : ImageSet
            Any images.
        progress : callable, optional
            Called as ``progress(stage, done, total)``.

        Returns
        -------
        MultiLabelPrediction
            Labels and calibrated probabilities.
        """
        start = time.perf_counter()
        features = self.extractor.transform(images, progress=progress)
        middle = time.perf_counter()
        proba = self.classifier.predict_proba(features)
        seconds = {"features": middle - start, "predict": time.perf_counter() - middle}
        label = (proba >= 0.5).astype(np.int64)
        return MultiLabelPrediction(label, all_right(proba), proba, self.classes, seconds)


def save_model(result: FitResult | MultiLabelFit, images: ImageSet, folder: Path) -> None:
    """Save the model of a fit.

    Parameters
    ----------
    result : FitResult or MultiLabelFit
        The outcome of the fit.
    images : ImageSet
        The images it was made from.
    folder : Path
        Folder to make.

    Raises
    ------
    StorageError
        If the disk is full or cannot be written to.
    """
    if isinstance(result, MultiLabelFit):
        arrays, meta = _multilabel_state(result)
    else:
        arrays, meta = _joined_state(
            result.extractor.to_state(), classifier_state(result.classifier, result.features)
        )
    best = result.audit or result.estimate
    shared = {
        "classes": list(result.classes),
        "estimate": best.to_dict(),
        "white_level": images.white_level,
    }
    save_bundle(folder, kind=MODEL_KIND, arrays=arrays, meta=shared | meta)


def _joined_state(
    features: tuple[dict[str, np.ndarray], dict[str, Any]],
    classifier: tuple[dict[str, np.ndarray], dict[str, Any]],
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    arrays = {f"features.{name}": array for name, array in features[0].items()}
    arrays |= {f"classifier.{name}": array for name, array in classifier[0].items()}
    return arrays, {"features": features[1], "classifier": classifier[1]}


def _multilabel_state(result: MultiLabelFit) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    if result.road is None:
        arrays, meta = _joined_state(result.extractor.to_state(), result.main.to_state())
        return arrays, meta | {"task": _SEVERAL}
    weights, network = result.road.network.to_state()
    reader = result.road.reader
    pixels = {"size": [int(side) for side in reader.size], "channels": int(reader.channels)}
    arrays = {f"classifier.{name}": array for name, array in weights.items()}
    return arrays, {"task": _SEVERAL, "pixels": pixels, "classifier": network}


def load_run(path: str | Path) -> Run:
    """Load the model of a run folder; nothing in it is executed.

    Parameters
    ----------
    path : str or Path
        A run folder, or its ``model`` folder.

    Returns
    -------
    Run
        The model; a `MultiLabelRun` where an image may have several labels.

    Raises
    ------
    RunFolderError
        If there is no run there.
    ModelFormatError
        If the model is damaged, or newer than this version of fewlabel.
    """
    path = Path(path)
    folder = path / "model" if (path / "model").is_dir() else path
    if not path.is_dir():
        raise RunFolderError(f"{path} is not a run folder: give the folder that `fit` wrote.")
    if not (folder / "manifest.json").is_file():
        raise RunFolderError(
            f"{path} holds no model (model/manifest.json is missing): give the folder that "
            "`fewlabel fit --out` wrote."
        )
    bundle = load_bundle(folder, kind=MODEL_KIND)
    parts = {
        part: {
            name.removeprefix(f"{part}."): array
            for name, array in bundle.arrays.items()
            if name.startswith(f"{part}.")
        }
        for part in ("features", "classifier")
    }
    try:
        classes = tuple(bundle.meta["classes"])
        if bundle.meta.get("task") == _SEVERAL:
            extractor, classifier = _multilabel_parts(parts, bundle.meta)
            if len(classes) != len(classifier.classes_):
                raise ValueError(f"{len(classes)} names for {len(classifier.classes_)} labels")
            return MultiLabelRun(extractor, classifier, classes, bundle.meta)
        extractor = extractor_from_state(parts["features"], bundle.meta["features"])
        classifier = classifier_from_state(parts["classifier"], bundle.meta["classifier"])
        return Run(extractor, classifier, classes, bundle.meta)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ModelFormatError(
            f"The model in {folder} does not hold together ({error!r}): copy it anew, or fit again."
        ) from error


def _multilabel_parts(
    parts: dict[str, dict[str, np.ndarray]], meta: dict[str, Any]
) -> tuple[Any, Any]:
    if "pixels" in meta:
        height, width = meta["pixels"]["size"]
        reader = PixelReader((int(height), int(width)), int(meta["pixels"]["channels"]))
        return reader, LabelNetwork.from_state(parts["classifier"], meta["classifier"])
    extractor = extractor_from_state(parts["features"], meta["features"])
    return extractor, MultiLabelClassifier.from_state(parts["classifier"], meta["classifier"])
