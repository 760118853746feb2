"""Self-training of a fine-tuned network: every round assigns the pseudo-labels anew.

As in fewlabel's own self-training, what network and graph say together is accepted: alone, a
network confirms its own mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import clone

from fewlabel import FewLabelClassifier
from fewlabel.data import SingleLabel
from fewlabel.semisupervised import PseudoLabelLedger
from fewlabel.semisupervised.acceptance import AcceptanceRule
from fewlabel.semisupervised.rounds import Round

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
    # What each round accepted and revoked; the first is training on the given labels
    records: list[Round]
    n_unlabeled: int  # photos without a label


def run_rounds(
    session: PhotoSession, how: str, first: FineTuning, network: FineTuning
) -> SelfTrained:
    """Train in a fixed number of rounds, each time from the pretrained weights."""
    config, y = session.config, session.labels(how).y
    task = SingleLabel()
    classes, codes = task.encode(y, len(y), "The study of photos")
    labeled, pool = task.labeled(codes), np.flatnonzero(codes < 0)
    # Labels that were chosen to show every kind of photo do not show how frequent each is.
    rule = AcceptanceRule(config["selection"], config["threshold"], align=how == RANDOM)
    ledger, model, records = PseudoLabelLedger(), first, [Round(0)]
    for number in range(1, config["rounds"] + 1):
        session.progress(f"self-training, round {number}", number - 1, config["rounds"])
        proba = task.combine(
            model.predict_proba(session.photos), _propagated(session, model, codes)
        )[pool]
        pseudo = rule.accept(task, proba, codes, number).at(pool)
        n_new, n_revoked = ledger.enter(number, *pseudo.entries())
        model = clone(network).set_params(random_state=session.seed + 100 * number)
        model.memory = session.memory
        model.fit_soft(
            session.photos[np.concatenate([labeled, pseudo.rows])],
            np.concatenate([np.eye(len(classes))[codes[labeled]], pseudo.targets]),
            sample_weight=np.repeat([1, config["pseudo_weight"]], [len(labeled), len(pseudo.rows)]),
            classes=classes,
        )
        records.append(Round(number, len(pseudo.rows), n_new, n_revoked))
    return SelfTrained(model, classes, ledger, records, len(pool))


def _propagated(session: PhotoSession, model: FineTuning, codes: np.ndarray) -> np.ndarray:
    """Return what a graph says on the frozen features joined with the network's embeddings."""
    embedded = model.embed(session.photos)
    parts = (session.features().rows, embedded - embedded.mean(axis=0))
    rows = np.hstack([part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts])
    graph = FewLabelClassifier(method="blend", random_state=session.seed)
    proba: np.ndarray = graph.fit(rows, codes).propagated_
    return proba
