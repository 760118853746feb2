"""What predicts without the graph, kept beside a candidate that needs it, for export."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fewlabel.data import Task
from fewlabel.data.calibration import Calibration
from fewlabel.errors import _damaged
from fewlabel.evaluate import BASELINE, Comparison, choose_candidate, fit_calibration
from fewlabel.evaluate.choose import _standard_error
from fewlabel.evaluate.reliability import _saved_calibration
from fewlabel.graph.linear_model import LinearModel
from fewlabel.params import choice, integer, number
from fewlabel.persist.schema import _MAX_COUNT, _OBJECT, _check_arrays, _check_fields, _Fields

NETWORK = "network"
"""Name of the last network's own head; the others are linear models of the features."""

_ARRAYS = {"coef": "d K", "intercept": "K"}
_FIELDS: _Fields = {
    "name": [choice((NETWORK, "supervised", "propagated"))],
    "calibration": [_OBJECT],
    "n": [integer(0, _MAX_COUNT)],
    "difference": [number(-1, 1, closed="both"), None],
    "se": [number(0, 1, closed="both"), None],
}


@dataclass(frozen=True, eq=False)
class _Inductive:
    """The best candidate that needs no graph, calibrated, and how far behind the chosen one it is.

    On ``n`` labels that neither saw its accuracy differs from that of the chosen candidate by
    ``difference``, with the standard error ``se`` of the paired difference; both None where none
    could be tested. ``linear`` is None for the head of the last network.
    """

    name: str
    linear: LinearModel | None
    calibration: Calibration
    n: int = 0
    difference: float | None = None
    se: float | None = None

    @property
    def figures(self) -> dict[str, Any]:
        """Its name and what it costs, as JSON types."""
        figures = {name: getattr(self, name) for name in ("difference", "se", "n")}
        return {"method": self.name} | figures

    def predict_proba(self, extractor: Any, images: Any) -> np.ndarray:
        """Return calibrated probabilities (m, k) of images by a model's extractor."""
        if self.linear is not None:
            return self.calibration.apply(self.linear.predict_proba(extractor.transform(images)))
        network = extractor.networks[-1]
        channels, *size = network.network_.spec.input_shape
        pixels = images.read(slice(None), size=tuple(size), channels=channels)
        raw = network.predict_proba(pixels[..., 0] if channels == 1 else pixels)
        return self.calibration.apply(raw)

    def to_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return arrays and JSON types for `from_state`."""
        arrays = {}
        if self.linear is not None:
            arrays = {"coef": self.linear.coef, "intercept": self.linear.intercept}
        fields = {name: getattr(self, name) for name in _FIELDS}
        return arrays, fields | {"calibration": self.calibration.to_dict()}

    @classmethod
    def from_state(
        cls,
        arrays: Mapping[str, np.ndarray],
        meta: Mapping[str, Any],
        task: Task,
        extractor: Any,
        n_classes: int,
    ) -> Self:
        """Return what was saved; raise `ModelFormatError` if it does not fit the extractor."""
        _check_fields(meta, _FIELDS, "inductive")
        linear = None
        if meta["name"] != NETWORK:
            _check_arrays(arrays, _ARRAYS, "inductive", {"d": extractor.width, "K": n_classes})
            linear = LinearModel(arrays["coef"], arrays["intercept"], task)
        elif not getattr(extractor, "networks", ()):
            raise _damaged("The model predicts by a network and has none")
        figures = {name: meta[name] for name in ("n", "difference", "se")}
        calibration = _saved_calibration(task, meta["calibration"], "inductive")
        return cls(meta["name"], linear, calibration, **figures)


def _best_inductive(compared: Comparison) -> _Inductive | None:
    """Return what predicts best without the graph; None where the kept candidate needs none."""
    task, kept = compared.task, compared.kept
    places = np.searchsorted(kept.tested, compared.tested)
    oof = {name: proba[places] for name, proba in kept.inductive.items()}
    if not oof:
        return None
    seen = ~compared.unseen
    name, figures = BASELINE, dict[str, Any]()
    if seen.any():
        name = choose_candidate(
            task, compared.y, oof, unseen=compared.unseen, fold=compared.part
        ).name
        mine, theirs = (
            task.correct(compared.y, compared._calibrate(proba))[seen].astype(float)
            for proba in (oof[name], compared.oof_proba[kept.name])
        )
        gain = mine - theirs
        figures = {"n": len(gain), "difference": float(gain.mean()), "se": _standard_error(gain)}
    calibration = fit_calibration(task, compared.y, oof[name], compared.unseen)
    return _Inductive(name, kept.linear_model(name), calibration, **figures)
