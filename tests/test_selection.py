import numpy as np
import pytest

from fewlabel.data import Labels, image_set_from_array, load_images, read_labels
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


def test_what_is_a_copy_of_a_labeled_image_is_not_asked_for():
    images = load_images(
        np.random.default_rng(0).integers(0, 256, (6, 4, 4), np.uint8)[[0, *range(6)]]
    )
    labels = Labels(np.array([-1, 0, 1, -1, -1, -1, -1]), ("a", "b"))
    chosen = select_images(images, 4, method="random", labels=labels)
    assert sorted(chosen.indices) == [3, 4, 5, 6]


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


@pytest.mark.parametrize(
    ("budget", "n_known", "method"),
    [(199, 0, "representatives"), (200, 0, "herding"), (140, 60, "herding")],
)
def test_many_labels_cover_all_images(digits, budget, n_known, method):
    labels = digits.known(range(n_known)) if n_known else None
    chosen = select_images(digits.images, budget, labels=labels, prepared=digits.features)
    assert chosen.method == method


def test_a_second_round_asks_where_the_model_is_unsure(digits):
    labels, unsure = digits.known(range(60)), np.arange(200, 300)
    confidence = np.ones(400)
    confidence[unsure] = 0.3
    chosen = select_images(
        digits.images, 20, labels=labels, confidence=confidence, prepared=digits.features
    )
    assert chosen.method == "herding"
    assert not chosen.warnings
    few = digits.known(range(49))
    chosen_early = select_images(
        digits.images, 20, labels=few, confidence=confidence, prepared=digits.features
    )
    assert chosen_early.warnings[0].startswith("There are 4.9 labels a class")
    drawn = chosen.purpose == "random"
    assert drawn.sum() == 4
    assert np.isin(chosen.indices[~drawn], unsure).all()
    assert chosen.indices.min() >= 60
    for bad in (confidence[:-1], confidence + 1, np.full(400, np.nan)):
        with pytest.raises(UsageError, match=r"'confidence' parameter must be 400 numbers from 0"):
            select_images(digits.images, 20, confidence=bad, prepared=digits.features)


def test_random_images_without_a_label_stay_in_the_table_of_the_next_round(digits, tmp_path):
    first = select_images(digits.images, 20, audit=2, prepared=digits.features)
    y, purpose = np.full(400, -1), np.full(400, "", object)
    purpose[first.indices] = first.purpose
    asked = first.indices[first.purpose != "train"]
    rest = np.setdiff1d(first.indices, asked[-3:])
    y[rest] = digits.truth.y[rest]
    labels = Labels(y, digits.truth.classes, tuple(purpose))
    second = select_images(digits.images, 20, labels=labels, prepared=digits.features)
    assert not np.isin(second.indices, first.indices).any()
    assert any(text.startswith("3 random image(s) of the earlier") for text in second.warnings)
    write_picks(second, digits.images, tmp_path / "more.csv", labels=labels)
    table = read_labels(tmp_path / "more.csv", digits.images)
    both = np.union1d(asked, second.indices[second.purpose == "random"])
    assert np.flatnonzero(np.isin(table.purpose, ["random", "audit"])).tolist() == both.tolist()


def test_of_many_labels_some_say_where_labels_are_and_none_is_chosen_again(digits, monkeypatch):
    monkeypatch.setattr("fewlabel.selection._MAX_ANCHORS", 10)
    images = digits.images
    y = np.full(len(images), -1)
    y[:60] = 0
    chosen = select_images(images, 20, labels=Labels(y, ("zero",)), features="pixels", seed=0)
    assert len(set(chosen.indices.tolist())) == 20
    assert chosen.indices.min() >= 60


def test_the_audit_takes_whole_groups_and_the_table_keeps_them(shapes, tmp_path):
    n = len(shapes.images)
    groups = np.arange(n) // 12
    labels = Labels(np.full(n, -1), ("a", "b"), groups=tuple(map(str, groups.tolist())))
    prepared = shapes.features
    chosen = select_images(shapes.images, 20, audit=30, labels=labels, prepared=prepared)
    audited = set(groups[chosen.indices[20:]].tolist())
    assert len(audited) == 3
    assert not audited & set(groups[chosen.indices[:20]].tolist())
    write_picks(chosen, shapes.images, tmp_path / "picks.csv", labels=labels)
    again = read_labels(tmp_path / "picks.csv", shapes.images, min_classes=0)
    assert again.groups == labels.groups
    # Of none of their groups anything is asked for later.
    later = select_images(shapes.images, 20, labels=again, prepared=prepared)
    assert not audited & set(groups[later.indices].tolist())
    with pytest.raises(UsageError, match=r"An audit of 340 takes whole groups and leaves 12 "):
        select_images(shapes.images, 20, audit=340, labels=labels, prepared=prepared)


def test_of_near_copies_one_is_chosen_while_there_are_others(shapes):
    X = shapes.images.read(slice(None))
    X[200:] = np.clip(X[:160].astype(int) + 3, 0, 255)
    images = image_set_from_array(X)
    chosen = select_images(images, 100, features="pixels")
    repeats = set((chosen.indices % 200).tolist())
    assert len(repeats) == 100
    assert any("160 image(s) are near-copies of others" in text for text in chosen.warnings)
    # Rather two of a kind than none.
    assert len(select_images(images, 250, features="pixels").indices) == 250
