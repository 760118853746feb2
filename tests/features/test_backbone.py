import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fewlabel.data import image_set_from_array, load_images
from fewlabel.errors import DataError, ModelFormatError, UsageError
from fewlabel.extras import require
from fewlabel.features.backbone import Backbone
from fewlabel.features.networks import _fold_batch_norms, _load_network
from fewlabel.nets.pretrained import Recipe
from tests.features.conftest import SMALL, noise, save

timm = require("timm", "This test")
STEM = "conv_stem.weight"
FILE = f"{SMALL}.safetensors"


@pytest.fixture(scope="module")
def images():
    return image_set_from_array(noise(6, 40))


def reference(tensors, mean, std):
    """Compute features by timm alone, without folding, batching and channels_last."""
    model = timm.create_model(SMALL).eval()
    model.load_state_dict(tensors)
    model.reset_classifier(0)
    scaled = (noise(6, 40) / 255 - np.array(mean)) / np.array(std)
    with torch.inference_mode():
        return model(torch.from_numpy(scaled).float().permute(0, 3, 1, 2)).numpy()


@pytest.mark.parametrize("batch_size", [2, 64])
def test_gives_the_features_of_timm(images, weights, tensors, batch_size, arithmetic):
    # One rounding of the largest feature; float32 sums in another order cost more than that.
    rounding = max(torch.finfo(arithmetic).eps, 1e-4)
    for mean, std in ((None, None), ((0.5,) * 3, (0.25, 0.5, 1))):
        settings = {"weights": weights, "size": 40, "batch_size": batch_size}
        settings |= {"mean": mean, "std": std}
        features = Backbone(**settings, normalize=False).fit_transform(images)
        expected = reference(tensors, mean or (0.485, 0.456, 0.406), std or (0.229, 0.224, 0.225))
        assert features.dtype == np.float32
        np.testing.assert_allclose(features, expected, atol=rounding * np.abs(expected).max())
        scaled = Backbone(**settings).fit_transform(images)
        expected = expected / np.sqrt((expected**2).mean(axis=1, keepdims=True))
        np.testing.assert_allclose(scaled, expected, atol=rounding * np.abs(expected).max())


def test_what_was_saved_needs_no_file_of_weights(images, weights, monkeypatch):
    backbone = Backbone(weights=weights, size=40, normalize=False).fit(images)
    features = backbone.transform(images)
    weights.unlink()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    again = Backbone.from_state(*backbone.to_state())
    np.testing.assert_array_equal(again.transform(images), features)


def test_fewer_images_at_once_after_memory_ran_out(images, weights):
    backbone = Backbone(weights=weights, size=40).fit(images)
    expected = backbone.transform(images)
    module = backbone.network_.module

    def check(_, given):
        if len(given[0]) > 3:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    module.register_forward_pre_hook(check)
    with pytest.warns(RuntimeWarning, match="at most 3 rows are worked on at once"):
        np.testing.assert_allclose(backbone.transform(images), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("model", "size", "n_features"),
    [
        ("resnet18", 48, 512),
        (SMALL, 48, 1024),
        ("convnext_atto", 64, 320),
        ("vit_tiny_patch16_224", 64, 192),
    ],
)
def test_any_timm_model_runs(images, model, size, n_features):
    backbone = Backbone(model, pretrained=False, size=size).fit(images)
    features = backbone.transform(images)
    assert features.shape == (6, n_features)
    np.testing.assert_allclose((features**2).mean(axis=1), 1, atol=1e-5)


def test_random_weights_are_seeded_and_leave_the_global_random_state_alone(images):
    before = torch.random.get_rng_state()
    one, other = (Backbone(SMALL, pretrained=False, size=32, random_state=seed) for seed in (1, 2))
    assert np.abs(one.fit_transform(images) - other.fit_transform(images)).max() > 1e-3
    assert torch.equal(torch.random.get_rng_state(), before)


def test_gray_images_are_given_three_equal_colors(weights):
    gray = noise(3, 40, channels=1)
    gray, equal = (image_set_from_array(np.repeat(gray, n, axis=3)) for n in (1, 3))
    backbone = Backbone(weights=weights, size=32).fit(gray)
    np.testing.assert_allclose(backbone.transform(gray), backbone.transform(equal), atol=1e-6)


def test_state_keeps_half_precision_where_that_is_exact(tmp_path, tensors, images):
    half = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
    path = save(tmp_path / f"{SMALL}.safetensors", half)
    arrays, _ = Backbone(weights=path, size=32).fit(images).to_state()
    assert {array.dtype.name for array in arrays.values()} == {"float16"}
    assert not any("classifier" in name for name in arrays)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "evilnet"}, r"cannot be rebuilt .timm has no model 'evilnet'"),
        ({"model_kwargs": {"checkpoint_path": "x.pth"}}, r"checkpoint_path='x.pth' cannot be"),
    ],
)
def test_damaged_state(images, changes, message):
    arrays, meta = Backbone(SMALL, pretrained=False, size=32).fit(images).to_state()
    with pytest.raises(ModelFormatError, match=message):
        Backbone.from_state(arrays, meta | changes)


def test_folding_changes_nothing_but_the_time():
    network = _load_network(Recipe("resnet18"), pretrained=False, size=(48, 48))
    assert not any(isinstance(m, nn.BatchNorm2d) for m in network.module.modules())
    assert "bn1.running_var" in network.tensors

    class Shared(nn.Module):
        """A convolution whose raw output is used beside its BatchNorm."""

        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
            self.norm.running_mean += 3

        def forward(self, x):
            raw = self.conv(x)
            return (self.norm(raw) + 2 * raw).mean((2, 3))

    model = Shared().eval()
    assert _fold_batch_norms(model, torch.rand(2, 3, 5, 5)) is model


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "resnet18.safetensors",
            {},
            r"safetensors does not fit the timm model 'resnet18' \(96 missing: conv1.weight, "
            r"layer1.0.conv1.weight, layer1.0.bn1.weight, layer1.0.bn1.bias, …; "
            r"206 unexpected: .*name the model it",
        ),
        (
            FILE,
            {STEM: torch.zeros(16, 3, 5, 5)},
            r"1 of another shape: conv_stem.weight \(16, 3, 5, 5\) instead of \(16, 3, 3, 3\)",
        ),
        (FILE, {"a\x1b[31m": torch.zeros(1)}, r"1 unexpected: a\?\[31m\)"),
        (FILE, {STEM: torch.full((16, 3, 3, 3), torch.nan)}, f"'{STEM}' holds NaN or infinity"),
        (FILE, lambda data: data[:-100], f"{FILE} is not a whole safetensors"),
        (FILE, lambda data: b"\0" * 7 + b"\x40{}", f"{FILE} is not a whole safetensors"),
        ("resnet18.pth", lambda data: data, "not a .safetensors file.*Convert them to safetensor"),
        (FILE, None, f"{FILE} do not exist"),
    ],
)
def test_weights_that_cannot_be_used(images, tmp_path, tensors, name, content, message):
    path = save(tmp_path / name, tensors | (content if isinstance(content, dict) else {}))
    if content is None:
        path.unlink()
    elif callable(content):
        path.write_bytes(content(path.read_bytes()))
    expected = UsageError if path.suffix == ".pth" else DataError
    with pytest.raises(expected, match=message):
        Backbone(weights=path).fit(images)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"mean": (0.5, 0.5)}, "'mean' parameter of Backbone must be three numbers, one for each"),
        ({"std": (0.5, 0, 0.5)}, "'std' parameter of Backbone must be three numbers above 0"),
        ({"batch_size": 0}, "'batch_size' parameter of Backbone must be an int of at least 1"),
        ({"device": "tpu"}, "The device must be one of auto, cpu, cuda, mps. Got 'tpu'"),
        ({"model_kwargs": {"pretrained": True}}, "argument pretrained='True' cannot be given"),
        ({"model": "qqqqq"}, r"has no model 'qqqqq': see timm.list_models"),
        ({"model": "mobilenetv2_075", "pretrained": True}, "timm has no pretrained weights for 'm"),
    ],
)
def test_bad_parameters(images, parameters, message):
    with pytest.raises(UsageError, match=message):
        Backbone(**{"model": SMALL, "pretrained": False} | parameters).fit(images)


@pytest.mark.data
def test_the_given_weights_need_no_settings():
    path = Path(os.environ.get("FEWLABEL_DATA", "none")).parent / "models"
    path /= "mobilenetv2_100.safetensors"
    if not path.is_file():
        pytest.skip("the weights are not beside FEWLABEL_DATA")
    photos = load_images("grocery")
    y = np.unique(photos.truth.astype(str), return_inverse=True)[1]
    rng = np.random.default_rng(0)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(y == k))[:12] for k in (0, 5, 9, 20)])
    backbone = Backbone(weights=path, size=128)
    features = backbone.fit_transform(photos.subset(chosen))
    recipe = backbone.network_.recipe
    assert (recipe.model, recipe.mean) == ("mobilenetv2_100", (0.5, 0.5, 0.5))
    assert recipe.model_kwargs == {"pad_type": "same"}
    similar = features @ features.T / features.shape[1]
    np.fill_diagonal(similar, -1)
    nearest = y[chosen][similar.argmax(axis=1)]
    assert np.mean(nearest == y[chosen]) > 0.85


def test_a_tiny_photo_is_enlarged(tmp_path, weights):
    [tiny] = noise(1, side=8)
    Image.fromarray(tiny).save(tmp_path / "tiny.png")
    features = Backbone(weights=weights, size=64).fit_transform(load_images(tmp_path / "tiny.png"))
    enlarged = image_set_from_array(tiny[None]).read([0], size=(64, 64))
    expected = Backbone(weights=weights, size=64).fit_transform(image_set_from_array(enlarged))
    assert np.corrcoef(features[0], expected[0])[0, 1] > 0.99
