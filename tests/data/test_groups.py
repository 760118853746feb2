import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fewlabel.data import image_set_from_array, labels_from_truth, load_images, read_labels
from fewlabel.errors import DataError, LabelError
from fewlabel.features.near_copies import _given_groups, _join_groups


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
