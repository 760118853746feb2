"""Rounds of experts: they are made of a network, agree, and the network is trained further."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from fewlabel.nets import FineTuning, Network, NetworkClassifier
from fewlabel.nets.state import _network_from_state, _network_to_state
from fewlabel.params import number
from fewlabel.persist.schema import _OBJECT, _check_fields, _listed
from fewlabel.semisupervised.acceptance import AgreementRule, PseudoLabels
from fewlabel.semisupervised.binary_heads import (
    _head_logits,
    _HeadScale,
    _HeadSettings,
    _make_experts,
)
from fewlabel.semisupervised.models import _Models, _ModelTrack, _Training
from fewlabel.semisupervised.rounds import TRAINED

if TYPE_CHECKING:
    from fewlabel.semisupervised.one_vs_rest import BinaryExperts

Multiclass = NetworkClassifier | FineTuning


class _ExpertTrack(_ModelTrack):
    """One run of rounds of experts."""

    def __init__(
        self,
        settings: BinaryExperts,
        y: np.ndarray,
        held: np.ndarray,
        models: _Models,
        template: Multiclass,
        heads: _HeadSettings,
        rule: AgreementRule,
    ) -> None:
        super().__init__(settings.task_, y, held, models)
        self.settings, self.template = settings, template
        self.heads, self.rule = heads, rule
        self.experts: dict[int, tuple[Network, _HeadScale]] = {}
        self.rejected = np.empty(0, dtype=np.int64)

    def accept(self, number: int) -> PseudoLabels:
        experts, scale = self.experts[number] = self._experts(number)
        scores = scale(_head_logits(experts, self.models.X[self.pool]))
        accepted, codes, confidence = self.rule.accept(scores, self.proba[self.pool])
        self.rejected = codes[~accepted]
        return PseudoLabels._of_classes(
            self.pool[accepted], codes[accepted], confidence[accepted], self.n_classes
        )

    def training(self, number: int, pseudo: PseudoLabels) -> _Training:
        return self._training(f"round-{number}", self.labeled, pseudo, self.models.last)

    def figures(self, pseudo: PseudoLabels) -> dict[str, Any]:
        ledger = self._ledger.columns()
        revoked = ledger["label"][ledger["revoked"] == len(self.rounds)]
        return {
            "n_rejected": len(self.rejected),
            "accepted_by_class": pseudo.present.sum(axis=0).tolist(),
            "rejected_by_class": np.bincount(self.rejected, minlength=self.n_classes).tolist(),
            "revoked_by_class": np.bincount(revoked, minlength=self.n_classes).tolist(),
        }

    def finish(self, number: int) -> Multiclass:
        """Return the network of a round, which is given the labels that were held out, too."""
        labeled, pseudo = self.task.labeled(self.y), self.accepted[number]
        if number == 0 and not len(self.held):
            return self.models.model("round-0")
        # Rounds that were rolled back left no network.
        former = self.models.model(f"round-{self._last_trained(number)}") if number else None
        self.models.fit(self._training("final", labeled, pseudo, former), predicts=False)
        return self.models.last

    def _last_trained(self, number: int) -> int:
        return max(k for k in range(number + 1) if self.rounds[k].outcome == TRAINED)

    def _training(
        self, name: str, labeled: np.ndarray, pseudo: PseudoLabels, former: Multiclass | None
    ) -> _Training:
        """Return a training on labels and pseudo-labels, from the network of the round before."""
        if not len(pseudo.rows):
            return _Training(name, self.template, **self.sample(labeled, pseudo, 1.0))
        share = self.settings.labeled_fraction
        # Repeated, so that many pseudo-labels do not outvote few true labels.
        copies = max(1, round(share / (1 - share) * len(pseudo.rows) / len(labeled)))
        sample = self.sample(np.tile(labeled, copies), pseudo, self.settings.pseudo_weight)
        template, n = clone(self.template), len(sample["rows"])
        n_epochs = max(1, round(self.settings.retrain_steps * min(template.batch_size, n) / n))
        # The number of steps stays nearly the same however many rows are accepted.
        template.set_params(warm_start=True, n_epochs=n_epochs, min_steps=1)
        return _Training(name, template, **sample, former=former)

    def _experts(self, number: int) -> tuple[Network, _HeadScale]:
        """Return the experts of a round; those that an interrupted run has made are kept."""
        checkpoints, name = self.models.checkpoints, f"experts-{number}"
        kept = checkpoints.get(name)
        if kept is not None:
            return _restore(kept.arrays, kept.meta)
        labels = self.models.X[self.labeled], self.y[self.labeled]
        experts = _make_experts(
            self.models.last.network_,
            *labels,
            self.heads,
            seed=self.models.seed * 1_009 + number,
            checkpoint=checkpoints.file(name),
        )
        scale = _HeadScale.fit(
            _head_logits(experts, self.models.X[self.held]),
            self.y[self.held],
            self.shares,
            balanced=self.heads.balance != "none",
        )
        arrays, network = _network_to_state(experts, self.models.classes)
        checkpoints.put(name, arrays, {"network": network, "scale": scale.to_dict()})
        return experts, scale


def _restore(arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> tuple[Network, _HeadScale]:
    import torch

    finite = number(-1e9, 1e9)
    fields = {"log_odds": [_listed(finite)], "slope": [finite], "offset": [finite]}
    _check_fields(meta, {"network": [_OBJECT], "scale": [fields]}, "experts")
    network, _ = _network_from_state(arrays, meta["network"], torch.device("cpu"))
    numbers = meta["scale"]
    return network, _HeadScale(np.array(numbers["log_odds"]), numbers["slope"], numbers["offset"])
