"""The history of a training becomes JSON that every reader takes."""

import json

import numpy as np

from fewlabel.semisupervised.history import ExpertVotes, TrainingHistory


def test_it_becomes_strict_json():
    log = TrainingHistory()
    figures = {"accepted_precision": np.float32(0.875), "learning_rate": 1 / 3}
    log.add_history("network 1", [{"loss": 1 / (i + 1), **figures} for i in range(2)])
    log.add_round("network", 1, n_accepted=np.int64(4), accuracy=float("inf"), precision=None)
    found = json.loads(json.dumps(log.to_dict(), allow_nan=False))
    assert found["epochs"][1] == {
        "network": "network 1", "epoch": 2, "loss": 0.5, "precision": 0.875,
        "learning_rate": 0.333333,
    }  # fmt: skip
    # Epochs count from 1, whatever a trainer counts.
    log.add_history("other", [{"epoch": 0, "loss": 1.0}, {"epoch": 0, "loss": 0.5}])
    assert [record["epoch"] for record in log.epochs[2:]] == [1, 2]
    assert found["rounds"] == [
        {"network": "network", "round": 1, "n_accepted": 4, "accuracy": None, "precision": None}
    ]


def test_votes_of_experts_are_counted():
    voted = np.eye(3, dtype=bool)[[0, 1, 1, 1, 2, 2]]
    voted[4, 0], voted[5] = True, False
    log = TrainingHistory(classes=("owl", "cat", "dog"))
    log.votes.append(ExpertVotes("experts", 1, np.array([0, 0, 1, 1, 2, 2]), voted))
    found = log.to_dict()
    assert found["classes"] == ["owl", "cat", "dog"]
    assert found["votes"][0]["counts"] == [[1, 1, 0], [0, 2, 0], [1, 0, 1]]
    assert (found["votes"][0]["n_without"], found["votes"][0]["n_disputed"]) == (1, 1)
