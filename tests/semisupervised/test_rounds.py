"""Rounds of self-training on one set of labels."""

import numpy as np
import pytest

from fewlabel.semisupervised.rounds import AcceptanceRule, RoundStore, Track

RULE = AcceptanceRule("threshold", threshold=0.8, k=2, share=0.25, soft=False, align=False)
PROBA = np.array([[0.9, 0.1], [0.15, 0.85], [0.6, 0.4], [0.3, 0.7]])
EVEN = np.array([0.5, 0.5])


def rule(**changes):
    return AcceptanceRule(**(vars(RULE) | changes))


@pytest.mark.parametrize(
    ("changes", "number", "expected"),
    [
        ({}, 1, [True, True, False, False]),
        ({"selection": "top-k", "k": 1}, 1, [True, True, False, False]),
        ({"selection": "top-k", "k": 1}, 2, [True, True, True, True]),
        ({"selection": "curriculum"}, 1, [True, False, False, False]),
        ({"selection": "curriculum"}, 3, [True, True, False, True]),
        ({"selection": "curriculum"}, 9, [True, True, True, True]),
        ({"selection": "adaptive"}, 1, [True, True, False, False]),
    ],
)
def test_each_selection_accepts_its_rows(changes, number, expected):
    accepted, _ = rule(**changes).judge(PROBA, EVEN, number)
    assert accepted.tolist() == expected


def test_targets_are_hard_or_soft():
    assert rule().judge(PROBA, EVEN, 1)[1].tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]
    np.testing.assert_array_equal(rule(soft=True).judge(PROBA, EVEN, 1)[1], PROBA)


def test_alignment_may_change_the_class():
    skewed = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])
    _, plain = rule().judge(skewed, EVEN, 1)
    _, aligned = rule(align=True).judge(skewed, EVEN, 1)
    assert plain[2].tolist() == [1, 0]
    assert aligned[2].tolist() == [0, 1]


def test_a_track_trains_on_labels_and_accepted_rows_with_their_weights():
    seen = {}

    def train(name, rows, targets, weights):
        seen[name] = rows.tolist(), targets.argmax(1).tolist(), weights.tolist()
        return np.concatenate([[[1.0, 0.0], [0.0, 1.0]], PROBA])

    track = Track("fold-0", np.array([0, 1, -1, -1, -1, -1]), 2, RULE, 0.25, train)
    first, second = track.run_round(0), track.run_round(1)
    assert seen["fold-0-round-0"] == ([0, 1], [0, 1], [1, 1])
    assert seen["fold-0-round-1"] == ([0, 1, 2, 3], [0, 1, 0, 1], [1, 1, 0.25, 0.25])
    assert (first.n_accepted, second.n_accepted, second.n_new) == (0, 2, 2)
    assert second.mean_confidence == PROBA[:2].max(axis=1).mean()


def test_a_pseudo_label_is_revoked_when_the_model_changes_its_mind():
    predictions = [PROBA, np.array([[0.9, 0.1], [0.5, 0.5], [0.1, 0.9], [0.5, 0.5]]), PROBA]

    def train(name, rows, targets, weights):
        number = int(name[-1])
        return np.concatenate([[[1.0, 0.0], [0.0, 1.0]], predictions[number]])

    track = Track("final", np.array([0, 1, -1, -1, -1, -1]), 2, RULE, 1.0, train)
    records = [track.run_round(number) for number in range(3)]
    assert [record.n_revoked for record in records] == [0, 0, 1]
    assert [record.n_accepted for record in records] == [0, 2, 2]
    columns = track.ledger.columns()
    assert columns["row"].tolist() == [2, 3, 4]
    assert columns["revoked"].tolist() == [-1, 2, -1]


def test_a_store_gives_back_what_it_kept_to_the_same_run_only(tmp_path):
    store = RoundStore(tmp_path, ["run", 1])
    store.put("fold-0-round-1", PROBA)
    np.testing.assert_array_equal(RoundStore(tmp_path, ["run", 1]).get("fold-0-round-1"), PROBA)
    assert RoundStore(tmp_path, ["run", 2]).get("fold-0-round-1") is None
    assert store.get("fold-0-round-2") is None
    store.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_counts_as_none(tmp_path):
    store = RoundStore(tmp_path, "run")
    store.put("a", PROBA)
    store.file("a").write_bytes(b"damaged")
    assert store.get("a") is None


def test_without_a_folder_nothing_is_kept():
    store = RoundStore(None, "run")
    store.put("a", PROBA)
    assert store.get("a") is None
    assert store.file("a") is None
    store.clear()
