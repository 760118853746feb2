"""A model as an ONNX file predicts what the model does."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import fewlabel.export.onnx_file as onnx_file
from fewlabel.cli.export import _of_graph
from fewlabel.data import ImageSet, image_set_from_array
from fewlabel.data.calibration import Temperature
from fewlabel.errors import FewLabelError, UsageError
from fewlabel.export import METADATA_KEY, export_onnx, model_id
from fewlabel.export.onnx_file import _build
from fewlabel.export.quantize import _heavy_nodes
from fewlabel.features.backbone import Backbone
from fewlabel.features.backbones import JoinedBackbones
from fewlabel.features.base import FeatureExtractor
from fewlabel.features.extract import Features
from fewlabel.features.joined import JoinedFeatures
from fewlabel.features.joined_patches import JoinedPatches
from fewlabel.features.patch_features import PatchFeatures
from fewlabel.features.pixels import Pixels
from fewlabel.fit_result import FitResult, FitSettings
from fewlabel.graph.inductive import _Inductive
from fewlabel.graph.predictor import METHODS
from fewlabel.model import Model
from fewlabel.nets import NetworkClassifier
from fewlabel.pipeline import fit_images
from fewlabel.runs.folder import save_run
from fewlabel.runs.model import load_run
from tests.conftest import Example

pytestmark = pytest.mark.usefixtures("float32")


def _network(images: ImageSet, color: bool) -> NetworkClassifier:
    X = images.read(slice(0, 60), size=(12, 12), channels=3 if color else 1)
    network = NetworkClassifier("resnet", n_epochs=1, min_steps=2, random_state=0)
    return network.fit(X if color else X[..., 0], np.arange(60) % 3)


def _extractors(images: ImageSet) -> dict[str, FeatureExtractor]:
    backbone = Backbone("resnet10t", pretrained=False, size=32)
    return {
        "pixels": Pixels(n_components=20),
        "patches": PatchFeatures(),
        "joined-patches": JoinedPatches([PatchFeatures(), PatchFeatures(fine=True)]),
        "backbone": Backbone("resnet10t", pretrained=False, size=32),
        "transformer": Backbone("test_vit", pretrained=False, size=32),
        "backbones": JoinedBackbones([backbone, Backbone("test_resnet", pretrained=False)]),
        "networks": JoinedFeatures(
            Pixels(8).fit(images), [_network(images, False), _network(images, True)]
        ),
    }


def _fit(example: Example, features: str, method: str) -> Model:
    extractor = _extractors(example.images)[features]
    return _fit_rows(example, extractor, extractor.fit_transform(example.images), method)


def _fit_rows(
    example: Example, extractor: FeatureExtractor, rows: np.ndarray, method: str
) -> Model:
    prepared, settings = Features(extractor, rows, "", []), FitSettings(method=method)
    return fit_images(example.images, example.labels, settings, prepared=prepared).model


def _run(file: Path, pixels: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    found: list[np.ndarray] = onnxruntime.InferenceSession(file, options).run(
        None, {"images": pixels}
    )
    return found


@pytest.mark.parametrize(
    "features", ["pixels", "patches", "joined-patches", "backbone", "backbones", "networks"]
)
def test_all_features_are_exported(features: str, digits: Example, tmp_path: Path) -> None:
    model = _fit(digits, features, "supervised")
    found = export_onnx(model, tmp_path / "model.onnx", digits.images)
    # Of random networks, whitening enlarges what a level of a pixel changes.
    assert found.difference < (1e-3 if features == "backbones" else 1e-4)
    assert found.n_images == 64
    content = (tmp_path / "model.onnx").read_bytes()
    assert found.n_bytes == len(content)
    # Nor does it say where the code lies on this machine.
    assert b".py" not in content


@pytest.mark.parametrize(
    ("data", "method"),
    [
        *(("digits", method) for method in METHODS),
        *(("shapes", method) for method in ("graph", "blend", "supervised")),
    ],
)
def test_all_candidates_are_exported(
    data: str, method: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    example: Example = request.getfixturevalue(data)
    model = _fit(example, "pixels", method)
    assert export_onnx(model, tmp_path / "model.onnx", example.images).difference < 1e-5


def test_a_file_of_each_task_names_labels(
    example: Example, fitted: FitResult, run: Path, tmp_path: Path
) -> None:
    file, model = tmp_path / "model.onnx", load_run(run)
    found = export_onnx(model, file, example.images)
    pixels = example.new.read(slice(0, 50))
    proba, labels = _run(file, pixels)
    expected = model.predict(image_set_from_array(pixels))
    np.testing.assert_allclose(proba, expected.proba, atol=1e-4)
    np.testing.assert_array_equal(labels, expected.label)
    properties = onnxruntime.InferenceSession(file).get_modelmeta().custom_metadata_map
    about = json.loads(properties[METADATA_KEY])
    assert about == found.about
    assert about["classes"] == list(model.classes)
    assert about["task"] == model.task.name
    # A model that was not saved yet is the same.
    assert about["model_id"] == model_id(fitted.model)


def test_classes_that_were_never_learned_have_probability_0(
    digits: Example, tmp_path: Path
) -> None:
    model = _fit(digits, "pixels", "supervised")
    model.columns = np.array([1, 2, 3, 4, 5, 6, 7, 9, 8, 10])
    model.classes = ("never", *model.classes)
    export_onnx(model, tmp_path / "model.onnx", digits.images)
    proba, _ = _run(tmp_path / "model.onnx", digits.new.read(slice(0, 9)))
    assert proba.shape == (9, 11)
    assert not proba[:, 0].any()


def test_a_file_that_differs_is_not_written(
    digits: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = _fit(digits, "pixels", "supervised")
    build: Any = onnx_file._build

    def wrong(given: Model, instead: Any) -> Any:
        other = _fit(digits, "pixels", "supervised")
        other.columns = other.columns[::-1]
        return build(other, instead)

    monkeypatch.setattr(onnx_file, "_build", wrong)
    with pytest.raises(FewLabelError, match=r"differ from the model by up to .* on 64 images"):
        export_onnx(model, tmp_path / "model.onnx", digits.images)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("method", ["graph", "refined", "blend"])
def test_a_model_without_its_graph_says_what_that_costs(
    method: str, digits: Example, tmp_path: Path
) -> None:
    result = digits.fit(method=method)
    folder = save_run(result, digits.images, tmp_path / "run")
    model = load_run(folder)
    found = export_onnx(model, tmp_path / "model.onnx", digits.images, graph=False)
    assert found.difference < 1e-4
    instead = found.about["instead_of"]
    assert instead["method"] == method
    assert instead["n"] == len(result.tested)
    rows = {row.name: row.accuracy for row in result.choice.table}
    assert instead["difference"] == pytest.approx(rows[found.about["method"]] - rows[method])


def test_a_refined_graph_is_exported_with_its_network(
    digits: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fewlabel.graph.refined._MIN_TRAINED", 2)
    model = load_run(save_run(digits.fit(method="refined"), digits.images, tmp_path / "run"))
    assert export_onnx(model, tmp_path / "model.onnx", digits.images).difference < 1e-4


def test_a_student_is_exported_by_itself(digits: Example, tmp_path: Path) -> None:
    images = digits.images
    network = _network(images, False)
    extractor = JoinedFeatures(Pixels(8).fit(images), [network])
    rows = extractor.fit_transform(images)
    model = _fit_rows(digits, extractor, rows, "graph")
    model.inductive = _Inductive("network", None, Temperature(1.7), 9, -0.1, 0.05)
    model.columns = np.arange(3)
    model.classes = ("a", "b", "c")
    found = export_onnx(model, tmp_path / "model.onnx", images, graph=False)
    assert found.difference < 1e-4
    assert found.about["method"] == "network"
    names = [weights.name for weights in onnx.load(tmp_path / "model.onnx").graph.initializer]
    assert not any("stored" in name for name in names)
    pixels = images.read(slice(0, 7), size=(12, 12), channels=1)
    expected = Temperature(1.7).apply(network.predict_proba(pixels[..., 0]))
    np.testing.assert_allclose(_run(tmp_path / "model.onnx", pixels)[0], expected, atol=1e-4)


def test_what_keeps_nothing_without_its_graph_is_refused(
    digits: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = digits.fit(method="graph").model
    model.inductive = None
    with pytest.raises(UsageError, match=r"keeps nothing that predicts without it.*: fit again"):
        export_onnx(model, tmp_path / "model.onnx", digits.images, graph=False)
    monkeypatch.setattr(onnx_file, "MAX_ROWS", 10)
    with pytest.raises(UsageError, match=r"holds 400 images, and a file at most 10"):
        export_onnx(model, tmp_path / "model.onnx", digits.images, graph=True)


def test_a_graph_that_is_too_large_is_left_out(
    digits: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = digits.fit(method="graph").model
    monkeypatch.setattr(onnx_file, "MAX_ROWS", 399)
    found = export_onnx(model, tmp_path / "model.onnx", digits.images)
    assert found.graph is not None
    assert not found.graph["kept"]
    printed = _of_graph("graph", "accuracy", found.graph)
    assert "The graph has 400 images; a file holds at most 399." in printed


def test_eight_bits_leave_what_is_beside_a_network(digits: Example) -> None:
    images = digits.images
    extractor = JoinedFeatures(PatchFeatures().fit(images), [_network(images, False)])
    made, _ = _build(_fit_rows(digits, extractor, extractor.fit_transform(images), "graph"), None)
    layers, products = _heavy_nodes(made)
    inside = [node.name for node in made.graph.node if ".network" in str(node.metadata_props)]
    assert layers
    assert not products
    assert set(layers) <= set(inside)


@pytest.mark.parametrize("features", ["patches", "backbone", "transformer"])
def test_eight_bits_cost_little(features: str, digits: Example, tmp_path: Path) -> None:
    model = _fit(digits, features, "supervised")
    found = export_onnx(model, tmp_path / "model.onnx", digits.images, labels=digits.labels)
    assert found.int8 is not None
    assert Path(found.int8["file"]).name == "model.int8.onnx"
    assert found.int8["n_bytes"] < 0.5 * found.n_bytes
    assert found.int8["n"] == 80
    # Of random weights, much is lost; of trained ones hardly anything.
    assert found.int8["n_changed"] <= 16
    proba, _ = _run(Path(found.int8["file"]), digits.new.read(slice(0, 5)))
    assert proba.shape == (5, 10)
