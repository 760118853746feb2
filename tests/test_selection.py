import numpy as np
import pytest

from fewlabel.data import Labels, read_labels
from fewlabel.errors import UsageError
from fewlabel.selection import select_images, write_picks


def test_labels_and_copies_are_left_out_and_the_audit_is_drawn(example):
    labels = example.known(range(20))
    prepared = example.features
    chosen = select_images(example.images, 15, audit=10, labels=labels, prepared=prepared)
    assert len(set(chosen.indices.tolist())) == 25
    assert chosen.indices.min() >= 20
    purpose = chosen.purpose.tolist()
    # Random ones stand between the others, and nothing is represented by them.
    assert purpose[:15].count("random") == 3
    assert "random" in purpose[:5]
    assert purpose[15:] == ["audit"] * 10
    assert ((chosen.cluster_size > 0) == (chosen.purpose == "train")).all()
    none = select_images(
        example.images, 15, random_fraction=0, labels=labels, prepared=example.features
    )
    assert none.purpose.tolist() == ["train"] * 15


def test_a_random_draw_needs_no_features(digits):
    chosen = select_images(digits.images, 5, method="random")
    assert chosen.purpose.tolist() == ["random"] * 5
    assert "features" not in chosen.seconds


def test_what_does_not_fit_is_refused(digits):
    with pytest.raises(UsageError, match=r"'random_fraction' parameter must be from 0 to 1"):
        select_images(digits.images, 5, random_fraction=30, prepared=digits.features)
    for budget, audit, message in (
        (401, 0, r"A budget of 401 does not fit 400 images, .* of others: ask for at most 400\."),
        (0, 401, r"A budget of 0 and an audit of 401 does not fit .* at most 400 together\."),
        (0, 0, r"must be at least 1, or 0 with an audit of at least 1 \(--audit\)\. Got 0 and"),
        (-3, 10, r"must be at least 1, .*\. Got -3 and an audit of 10 instead"),
    ):
        with pytest.raises(UsageError, match=message):
            select_images(digits.images, budget, audit=audit, prepared=digits.features)
    with pytest.raises(UsageError, match=r"strategy must be one of .* Did you mean random\?"):
        select_images(digits.images, 5, method="randm", prepared=digits.features)


def test_the_table_keeps_labels_of_one_kind(shapes, tmp_path):
    # No image has two of them: without any bar, the table would say one label an image.
    single = np.where(shapes.labels.y >= 0, [1, 0, 0], -1).astype(np.int8)
    labels = Labels(single, shapes.labels.classes)
    selection = select_images(shapes.images, 4, labels=labels, prepared=shapes.features)
    write_picks(selection, shapes.images, tmp_path / "more.csv", labels=labels)
    again = read_labels(tmp_path / "more.csv", shapes.images, min_classes=0)
    assert again.task == labels.task
    np.testing.assert_array_equal(again.labeled, labels.labeled)


def test_a_part_of_the_budget_is_no_row_more_for_a_rounding_error(digits):
    chosen = select_images(digits.images, 100, random_fraction=0.07, prepared=digits.features)
    assert (chosen.purpose == "random").sum() == 7
