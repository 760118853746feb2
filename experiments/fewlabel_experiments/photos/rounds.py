"""Self-training of a fine-tuned network: every round assigns the pseudo-labels anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import clone

from fewlabel.semisupervised import PseudoLabelLedger
from fewlabel.semisupervised.rounds import AcceptanceRule, RoundRecord, Track

from .session import RANDOM

if TYPE_CHECKING:
    from fewlabel.nets import FineTuning

    from .session import PhotoSession


@dataclass(frozen=True, eq=False)
class SelfTrained:
    """A network after the rounds of self-training."""

    network: FineTuning  # the network of the last round
    # (K,): classes that are labeled; labels of the ledger are positions in them
    classes: np.ndarray
    ledger: PseudoLabelLedger  # every pseudo-label, with its round and perhaps its revocation
    # What each round accepted and revoked; the first is training on the labels alone
    records: list[RoundRecord]
    n_unlabeled: int  # photos without a label


def run_rounds(
    session: PhotoSession, how: str, first: FineTuning, network: FineTuning
) -> SelfTrained:
    """Train in a fixed number of rounds, each time from the pretrained weights."""
    config, y = session.config, session.labels(how).y
    classes, seen = np.unique(y[y >= 0], return_inverse=True)
    codes = np.full(len(y), -1, dtype=np.int64)
    codes[y >= 0] = seen
    networks = [first]

    def train(step: str, rows: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        session.progress(f"self-training, {step}", len(networks) - 1, config["rounds"])
        if step != f"{how}-round-0":
            model = clone(network).set_params(random_state=session.seed + 100 * len(networks))
            model.fit_soft(session.photos[rows], targets, sample_weight=weights, classes=classes)
            networks.append(model)
        if len(networks) > config["rounds"]:
            # The last network accepts nothing.
            return np.empty((0, len(classes)))
        return networks[-1].predict_proba(session.photos)

    rule = AcceptanceRule(
        config["selection"],
        threshold=config["threshold"],
        k=1,
        share=1.0,
        soft=False,
        # Labels that were chosen to show every kind of photo do not show how frequent each is.
        align=how == RANDOM,
    )
    track = Track(how, codes, len(classes), rule, config["pseudo_weight"], train)
    records = [track.run_round(number) for number in range(config["rounds"] + 1)]
    return SelfTrained(networks[-1], classes, track.ledger, records, len(track.pool))
