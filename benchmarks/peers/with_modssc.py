"""ModSSC, with the settings of its own configurations for MNIST, and self-training.

Methods on the graph are transductive: the test images, without labels, are nodes too. SoftMatch
trains a ResNet-18 on the images.
"""

import importlib
import sys
from functools import partial

import numpy as np
import torch
from modssc.data_augmentation.api import get_op
from modssc.data_augmentation.types import AugmentationContext
from modssc.graph import GraphBuilderSpec, build_graph
from modssc.graph.artifacts import NodeDataset
from modssc.graph.specs import GraphWeightsSpec
from modssc.inductive.deep.bundles import build_torch_bundle_from_classifier
from modssc.inductive.methods.self_training import SelfTrainingMethod, SelfTrainingSpec
from modssc.inductive.methods.softmatch import SoftMatchMethod, SoftMatchSpec
from modssc.inductive.types import DeviceSpec, InductiveDataset
from modssc.transductive import get_method_class

EPOCHS, LIBRARIES = 50, []
GRAPH = GraphBuilderSpec(
    scheme="knn",
    metric="euclidean",
    k=10,
    symmetrize="mean",
    weights=GraphWeightsSpec("knn_gaussian"),
    normalize="none",
    self_loops=False,
    backend="numpy",
    chunk_size=1024,
)


def _transductive(task, name):
    method = get_method_class(name)()

    def run():
        X = np.concatenate([task.X_unit, task.X_test_unit])
        y = np.concatenate([task.y, np.full(len(task.X_test), -1)])
        graph = build_graph(X, spec=GRAPH, seed=task.seed, cache=False)
        data = NodeDataset(X, y, graph, masks={"train_mask": y >= 0})
        proba = method.fit(data, seed=task.seed).predict_proba(data)
        return proba[len(task.X) :].argmax(axis=1)

    return run


def _self_training(task):
    spec = SelfTrainingSpec(
        classifier_id="logreg",
        classifier_backend="sklearn",
        classifier_params={"C": 0.1, "max_iter": 1000},
    )
    known = task.y >= 0

    def run():
        mean, scale = task.X_unit.mean(axis=0), task.X_unit.std(axis=0)
        X, X_test = ((rows - mean) / scale for rows in (task.X_unit, task.X_test_unit))
        data = InductiveDataset(X[known], task.y[known], X_u=X[~known])
        model = SelfTrainingMethod(spec).fit(data, device=DeviceSpec("cpu"), seed=task.seed)
        # Its probabilities are decision values over their sum, which may be negative.
        return model.predict(X_test)

    return run


def _augmented(images, seed, strong):
    """Return each image shifted by up to two pixels; strong: with a square cut out of it, too."""
    steps = [get_op("vision.random_crop_pad", padding=2)]
    steps += [get_op("vision.cutout", frac=0.25)] if strong else []
    rng, out = np.random.default_rng(seed), np.empty_like(images)
    context = AugmentationContext(seed=seed, epoch=0, sample_id=0)
    for row, image in enumerate(images):
        for step in steps:
            image = step.apply(image, rng=rng, ctx=context)
        out[row] = image
    return torch.from_numpy(out)


def _load_torchvision():
    """Import torchvision where its compiled operators do not match torch, too; none is used."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        # The declaration lives as long as the library.
        LIBRARIES.append(library)


def _softmatch(task):
    _load_torchvision()
    mean, scale = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])

    def tensor(images):
        colors = np.broadcast_to(images, (*images.shape[:3], 3))
        return ((colors - mean) / scale).astype(np.float32).transpose(0, 3, 1, 2).copy()

    known = task.y >= 0

    def run():
        images, labels = tensor(task.images), torch.from_numpy(task.y[known])
        bundle = build_torch_bundle_from_classifier(
            classifier_id="image_pretrained",
            classifier_backend="torch",
            classifier_params={
                "model_name": "resnet18",
                "weights": None,
                "freeze_backbone": False,
                "input_layout": "channels_first",
                "lr": 0.0001,
                "weight_decay": 0.0001,
            },
            sample=torch.from_numpy(images[:2]),
            num_classes=int(task.y.max()) + 1,
            seed=task.seed,
            ema=False,
        )
        data = InductiveDataset(
            torch.from_numpy(images[known]),
            labels,
            X_u=torch.from_numpy(images[~known]),
            X_u_w=_augmented(images[~known], task.seed, strong=False),
            X_u_s=_augmented(images[~known], task.seed + 1, strong=True),
        )
        spec = SoftMatchSpec(model_bundle=bundle, batch_size=128, max_epochs=EPOCHS)
        model = SoftMatchMethod(spec).fit(data, device=DeviceSpec("cpu"), seed=task.seed)
        return model.predict_proba(torch.from_numpy(tensor(task.images_test))).argmax(axis=1)

    return lambda: np.asarray(run())


METHODS = {
    "label_spreading": partial(_transductive, name="label_spreading"),
    "laplace_learning": partial(_transductive, name="laplace_learning"),
    "poisson_learning": partial(_transductive, name="poisson_learning"),
    "self_training": _self_training,
    "softmatch on images": _softmatch,
}
