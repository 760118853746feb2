import numpy as np
import pytest

from fewlabel_experiments.combo.segment import (
    cut_by_erosion,
    cut_by_line,
    find_pieces,
    group_pieces,
)


def _mask(*boxes):
    mask = np.zeros((56, 56), dtype=bool)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


def test_pieces_are_numbered_through_the_images_and_small_ones_left_out():
    masks = np.stack([_mask((5, 5, 10, 10), (30, 30, 31, 32)), _mask(), _mask((0, 0, 56, 3))])
    pieces = find_pieces(masks)
    assert pieces.image.tolist() == [0, 2]
    assert pieces.area.tolist() == [25, 168]
    assert pieces.boxes.tolist() == [[5, 5, 10, 10], [0, 0, 56, 3]]
    assert np.unique(pieces.numbers[2]).tolist() == [0, 2]
    assert not pieces.numbers[1].any()
    # Corners join pieces, and images do not.
    masks = np.stack([_mask((0, 0, 5, 5), (5, 5, 9, 9)), _mask((0, 0, 5, 5))])
    assert find_pieces(masks).image.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        # Two characters, the right one first.
        ([(5, 30, 25, 50), (5, 5, 25, 20)], [[1], [0]]),
        # The dot of an i above its stem, beside a digit.
        ([(5, 5, 25, 20), (12, 30, 30, 34), (5, 30, 9, 34)], [[0], [1, 2]]),
        # A broken N: its halves are nearer to each other than to the 0.
        ([(20, 5, 40, 10), (20, 12, 40, 18), (20, 30, 40, 48)], [[0, 1], [2]]),
        # Two halves above each other are one character.
        ([(5, 5, 12, 22), (14, 6, 16, 20)], [[0, 1]]),
        ([(5, 5, 12, 22)], [[0]]),
    ],
)
def test_pieces_are_merged_into_characters(boxes, expected):
    boxes = np.array(boxes)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    groups = [sorted(group) for group in group_pieces(boxes, area)]
    assert groups == expected


BRIDGED = _mask((10, 5, 30, 22), (10, 26, 30, 44), (20, 22, 22, 26))


@pytest.mark.parametrize("cut", [cut_by_erosion, cut_by_line])
def test_a_bridge_is_cut_and_no_ink_lost(cut):
    parts = cut(BRIDGED)
    np.testing.assert_array_equal(parts > 0, BRIDGED)
    assert set(parts[10:30, 5:22].ravel()) == {1}
    assert set(parts[10:30, 26:44].ravel()) == {2}


def test_a_slanted_gap_is_found():
    mask = np.zeros((56, 56), dtype=bool)
    for y in range(10, 30):
        shift = (30 - y) // 2
        mask[y, 5 + shift : 18 + shift] = mask[y, 20 + shift : 34 + shift] = True
    mask[20, 10:40] = True
    parts = cut_by_line(mask)
    for y in (11, 28):
        shift = (30 - y) // 2
        assert set(parts[y, 5 + shift : 18 + shift]) == {1}
        assert set(parts[y, 20 + shift : 34 + shift]) == {2}


def test_what_does_not_fall_apart_is_left_to_others():
    assert cut_by_erosion(_mask((10, 5, 30, 45))) is None
    assert cut_by_erosion(_mask()) is None
    # Parts above each other are no two characters.
    assert cut_by_erosion(_mask((0, 5, 20, 25), (24, 5, 44, 25), (20, 12, 24, 14))) is None
    assert cut_by_line(_mask((10, 5, 30, 15))) is None
    assert cut_by_line(_mask()) is None
