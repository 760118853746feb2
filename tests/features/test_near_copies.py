"""Near-copies are found, distinct images are left alone, and estimates stay honest."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance

from fewlabel import FewLabelImageClassifier
from fewlabel.cluster.neighbors import nearest_neighbors
from fewlabel.data import Labels, image_set_from_array, labels_from_truth, load_images, read_labels
from fewlabel.errors import DataError, LabelError
from fewlabel.features import near_copies as module
from fewlabel.features.extract import extract_features
from fewlabel.features.near_copies import _find_groups, _given_groups, _join_groups, _near_copies
from fewlabel.pipeline import FitSettings, fit_images

SIDE = 48
SETTINGS = FitSettings(features="pixels")


def textures(n, seed):
    """Return random smooth color pictures, no two of them alike."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, 7, 7, 3), dtype=np.uint8)
    return [Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for one in coarse]


def encoded(image, quality):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def resized(image, box=None, side=SIDE):
    return image.resize((side, side), Image.Resampling.BICUBIC, box)


CHANGES = {
    "jpeg": lambda image: encoded(image, 50),
    "crop": lambda image: encoded(resized(image, (0, 0, 0.93 * SIDE, 0.93 * SIDE)), 85),
    "light": lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    "shift": lambda image: resized(image, (2, 1, SIDE, SIDE - 1)),
    "small": lambda image: resized(resized(image, side=30)),
}


def found_in(images, features="pixels"):
    rows = extract_features(images, features=features).rows
    return _near_copies(images, *nearest_neighbors(rows, 20))


@pytest.mark.parametrize("change", CHANGES)
def test_copies_are_found_and_nothing_else(change):
    originals = textures(150, 0)
    copies = [CHANGES[change](image) for image in originals[:40]]
    images = image_set_from_array(np.stack([np.asarray(one) for one in originals + copies]))
    pairs = found_in(images)
    right = pairs[:, 1] - pairs[:, 0] == 150
    assert right.all()
    assert right.sum() >= 36


def test_a_burst_longer_than_the_neighbors_is_one_group():
    rng, originals = np.random.default_rng(0), np.stack(textures(120, 1))
    noisy = originals[0] + rng.normal(0, 4, (40, SIDE, SIDE, 3))
    X = np.concatenate([originals, noisy.clip(0, 255)]).astype(np.uint8)
    images = image_set_from_array(X)
    neighbors = nearest_neighbors(extract_features(images, features="pixels").rows, 20)
    groups = _find_groups(images, None, *neighbors)
    assert len(set(groups.copies[120:].tolist())) == 1
    assert groups.n_near == 40


@pytest.mark.parametrize("features", ["pixels", "patches"])
def test_digits_are_alike_and_no_copies(features):
    images = load_images("digits")
    assert len(found_in(images, features)) <= 0.01 * len(images)


def test_few_images_have_no_neighbors_to_compare_with():
    images = image_set_from_array(np.stack(textures(2, 0)))
    assert not len(_near_copies(images, *nearest_neighbors(np.eye(2), 1)))
    assert not _find_groups(images, None, np.empty((0, 0)), np.empty((0, 0))).n_near


def labeled_bursts(n):
    """Return bursts of five, whose labels nothing in the images tells, and all labels."""
    X = [np.asarray(change(one)) for one in textures(n, 2) for change in CHANGES.values()]
    return np.stack(X), np.repeat(np.random.default_rng(3).permutation(np.arange(n) % 2), 5)


def test_the_estimate_without_groups_is_of_copies_and_with_them_of_new_images(monkeypatch):
    X, truth = labeled_bursts(120)
    known, audit = np.split(np.random.default_rng(0).permutation(600)[:240], [180])
    y, purpose = np.full(600, -1), np.full(600, "", object)
    y[known], y[audit] = truth[known], truth[audit]
    purpose[known], purpose[audit] = "random", "audit"
    images, labels = image_set_from_array(X), Labels(y, ("a", "b"), tuple(purpose.tolist()))
    result = fit_images(images, labels, SETTINGS)
    assert result.n_near_copies == 480
    # New images can only be guessed: half are right.
    for found in (result.estimate, result.audit):
        assert found.low < 0.5 < found.value < 0.7
    assert len(result.audited) == result.audit.n < 30
    for text in ("of the audit are near-copies of", "unlabeled image(s) nearly repeat a labeled"):
        assert any(text in each for each in result.warnings)
    # Without them, copies in other folds and in the audit give the labels away.
    monkeypatch.setattr(module, "_near_copies", lambda *_: np.empty((0, 2), np.int64))
    blind = fit_images(images, labels, SETTINGS)
    assert len(blind.audited) == blind.audit.n == 60
    for found in (blind.estimate, blind.audit):
        assert found.low > 0.75


def test_where_there_are_none_nothing_changes(shapes, monkeypatch):
    result = shapes.fit()
    assert not result.n_near_copies
    alone = replace(shapes.labels, groups=tuple(map(str, range(360))))
    monkeypatch.setattr(module, "_near_copies", lambda *_: np.empty((0, 2), np.int64))
    for other in (shapes.fit(), shapes.fit(alone)):
        assert other.estimate == result.estimate
        np.testing.assert_array_equal(other.proba, result.proba)
        np.testing.assert_array_equal(other.tested_proba, result.tested_proba)


def test_a_column_of_groups_does_the_same():
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(30), 10)
    X = np.stack(textures(30, 5))[patients] + rng.normal(0, 60, (300, SIDE, SIDE, 3))
    X, y = X.clip(0, 255).astype(np.uint8), (rng.permutation(30) % 2)[patients]
    names = [f"patient {number}" for number in patients]
    accuracy = []
    for groups in (None, patients, names):
        model = FewLabelImageClassifier(features="pixels", random_state=0).fit(X, y, groups=groups)
        tested, proba = model.result_.tested, model.result_.tested_proba
        accuracy.append(model.task_.correct(y[tested], proba).mean())
    assert accuracy[0] > 0.9
    assert accuracy[1] == accuracy[2] < 0.7
    assert model.result_.labels.groups[9:11] == ("patient 0", "patient 1")
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, y, groups=names[:9])


def test_groups_are_joined_through_each_other():
    pairs = np.array([[0, 4]])
    assert _join_groups([0, 1, 2, 3, 4], [5, 6, 6, 7, 8], pairs=pairs).tolist() == [0, 1, 1, 2, 0]


@pytest.fixture
def folder(tmp_path):
    for i in range(5):
        Image.new("L", (8, 8), 40 * i).save(tmp_path / f"{i}.png")
    return tmp_path


def manifest(folder, lines):
    (folder / "manifest.csv").write_text("path,group\n" + "\n".join(lines))
    return folder / "manifest.csv"


def test_manifest_and_table_name_groups_and_blank_ones_stand_alone(folder):
    images = load_images(manifest(folder, ["0.png,ann", "1.png,ann", "2.png,", "3.png,", "4.png,"]))
    assert images.given_groups == ("ann", "ann", "", "", "")
    assert images.subset([1, 2]).given_groups == ("ann", "")
    assert _given_groups(images).tolist() == [0, 0, 1, 2, 3]
    table = folder / "labels.csv"
    # Of images without a label, too.
    table.write_text("path,label,group\n0.png,a,x\n1.png,b,\n2.png,,x\n")
    labels = read_labels(table, images)
    assert labels.groups == ("x", "", "x", "", "")
    assert _given_groups(images, labels).tolist() == [0, 0, 0, 1, 2]


def test_metadata_and_data_frames_name_groups(folder):
    lines = ["path,label,group", "0.png,a,x", "1.png,b,", "2.png,a,x"]
    (folder / "metadata.csv").write_text("\n".join(lines))
    with pytest.warns(UserWarning, match="The labels are those of"):
        labels = labels_from_truth(load_images(folder))
    assert labels.groups == ("x", "", "x", "", "")
    paths = [folder / f"{i}.png" for i in range(3)]
    frame = pd.DataFrame({"path": paths, "group": [7, None, 7]})
    assert load_images(frame).given_groups == ("7", "", "7")


def test_an_image_in_two_groups_is_an_error_that_names_the_lines(folder):
    with pytest.raises(DataError, match=r"manifest.csv, line 3: 0.png is in the group 'bob', but"):
        load_images(manifest(folder, ["0.png,ann", "0.png,bob"]))
    images = image_set_from_array(np.arange(12, dtype=np.uint8).reshape(3, 2, 2))
    table = folder / "labels.csv"
    table.write_text("index,label,group\n0,a,x\n1,b,y\n0,a,y\n")
    with pytest.raises(LabelError, match=r"labels.csv, line 4: 0 is in the group 'y', but in 'x' "):
        read_labels(table, images)
