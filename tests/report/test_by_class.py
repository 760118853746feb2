import re

import numpy as np

from fewlabel.report.by_class import _MAX_CLASSES, _MAX_ROUNDS, _by_class_views, _votes_views
from fewlabel.semisupervised.history import ExpertVotes, TrainingHistory

from .examples import Page, fit_result, page_of, words

CLASSES = ("<b>owl", "cat", "Dog")


def log_of_experts(n_rounds=2, network="experts") -> TrainingHistory:
    log = TrainingHistory(classes=CLASSES)
    log.add_round(network, 0, n_accepted=0, accepted_by_class=[], revoked_by_class=[])
    for number in range(1, n_rounds + 1):
        log.add_round(
            network,
            number,
            n_accepted=60 + 3 * number,
            n_rejected=9,
            accepted_by_class=[10 + number, 20 + number, 1_030 + number],
            rejected_by_class=[4, 3, 2],
            revoked_by_class=[0, number, 0],
            kept=number < n_rounds,
        )
    return log


def votes(round_number=1, network="experts") -> ExpertVotes:
    voted = np.eye(3, dtype=bool)[[0, 1, 1, 1, 2, 2]]
    voted[4, 0], voted[5] = True, False
    return ExpertVotes(network, round_number, np.array([0, 0, 1, 1, 2, 2]), voted)


def test_counts_stand_by_class_and_round():
    (view,) = _by_class_views(log_of_experts())
    assert view["network"] == ""
    assert view["kinds"] == ["accepted", "rejected", "revoked"]
    # Round 0 has no experts; the last round is not in the final network.
    assert view["rounds"] == [(1, True), (2, False)]
    assert [row["name"] for row in view["rows"]] == ["<b>owl", "cat", "Dog"]
    assert view["rows"][1]["cells"] == [[21, 3, 1], [22, 3, 2]]
    text = words(page_of(fit_result(training=log_of_experts())))
    assert "round 1 round 2 not kept class accepted rejected revoked" in text
    assert "Dog 1,031 2 0 1,032 2 0" in text


def test_the_last_rounds_and_the_largest_classes_are_listed():
    log = log_of_experts(_MAX_ROUNDS + 3)
    (view,) = _by_class_views(log)
    assert [number for number, _ in view["rounds"]] == [4, 5, 6, 7]
    assert view["n_earlier"] == 3
    many = TrainingHistory()
    many.add_round("experts", 1, accepted_by_class=list(range(_MAX_CLASSES + 5)))
    (view,) = _by_class_views(many)
    assert view["kinds"] == ["accepted"]
    assert view["n_left_out"] == 5
    assert sorted(row["cells"][0][0] for row in view["rows"]) == list(range(5, _MAX_CLASSES + 5))
    assert view["rows"][0]["name"] == "class 10"
    assert "Of 5 more classes there are fewer" in words(page_of(fit_result(training=many)))


def test_votes_are_drawn_and_experts_of_several_trainings_are_named():
    log = log_of_experts(1, "experts 1")
    log.votes.append(votes(1, "experts 1"))
    (view,) = _votes_views(log)
    assert view["title"] == "Votes of the experts of round 1"
    assert "6 held-out labels" in view["caption"]
    assert "With the vote of no expert: 1; of several: 1." in view["caption"]
    assert "4 of 6 on the diagonal" in view["svg"]
    log.rounds += log_of_experts(1, "experts 2").rounds
    log.votes.append(votes(2, "experts 2"))
    assert [view["network"] for view in _by_class_views(log)] == ["experts 1", "experts 2"]
    assert [view["title"][-12:] for view in _votes_views(log)] == ["1, experts 1", "2, experts 2"]
    page = page_of(fit_result(training=log))
    ids = Page(page).ids
    assert len(set(ids)) == len(ids)
    assert "<b>owl" not in re.sub(r"<title>.*?</title>", "", page)
