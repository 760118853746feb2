import numpy as np
import pytest

from fewlabel.errors import ModelFormatError
from fewlabel.params import integer, number
from fewlabel.persist.schema import (
    _FLAG,
    _NAME,
    _OPTIONS,
    _TEXT,
    _WORD,
    _among,
    _check_arrays,
    _check_fields,
    _check_layers,
    _listed,
)

FIELDS = {
    "size": [_listed(integer(1, 9), 2, 2)],
    "power?": [number(0, 1), None],
    "names": [_listed(_NAME, distinct=True)],
    "inner": [{"flag": [_FLAG], "channels": [_among((1, 3))]}, None],
    "note": [_TEXT],
    "kind": [_WORD],
    "options": [_OPTIONS],
}
GOOD = {
    "size": [2, 3],
    "names": ["cat", "hot dog"],
    "inner": {"flag": True, "channels": 3},
    "note": "",
    "kind": "x",
    "options": {"widths": [8, 16], "dropout": 0.1, "pad": "same", "bias": None},
}


@pytest.mark.parametrize(
    "change", [{}, {"power": None}, {"power": 0.5}, {"inner": None}, {"new": 1}]
)
def test_what_fits_is_taken(change):
    _check_fields(GOOD | change, FIELDS, "part")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"size": [2, 10]},
            r"part\.size must be a list of 2 entries, each an int from 1 to 9, and",
        ),
        ({"size": [2, True]}, r"part\.size"),
        ({"size": [2]}, r"part\.size"),
        ({"size": "23"}, r"part\.size .* and is 23"),
        ({"power": float("nan")}, r"part\.power must be .* or None"),
        ({"names": []}, r"part\.names must be a list of at least 1 different entries"),
        ({"names": ["a", "a"]}, r"part\.names"),
        ({"names": ["a", " "]}, r"part\.names"),
        ({"names": ["\ud800"]}, r"part\.names"),
        ({"inner": 3}, r"part\.inner must be an object, and is 3"),
        ({"inner": {"flag": 1, "channels": 3}}, r"part\.inner\.flag must be true or false"),
        (
            {"inner": {"flag": True, "channels": 2}},
            r"part\.inner\.channels must be one of \(1, 3\)",
        ),
        ({"inner": {}}, r"lacks part\.inner\.flag"),
        ({"note": None}, r"part\.note must be text"),
        ({"kind": "x" * 10_000}, r"part\.kind must be a short name, and is x{80}:"),
        ({"options": {"widths": [2**31]}}, r"part\.options must be an object of plain settings"),
        ({"options": {"a": {}}}, r"part\.options"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    with pytest.raises(ModelFormatError, match=message):
        _check_fields(GOOD | change, FIELDS, "part")
    with pytest.raises(ModelFormatError, match="part must be an object"):
        _check_fields([change], FIELDS, "part")


SHAPES = {"mean": "d", "components": "d k"}
ARRAYS = {"mean": np.ones(3, np.float32), "components": np.ones((3, 2), np.float32)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": np.ones((3, 1))}, r"array part\.mean must be floats of shape \('d',\), and is"),
        ({"mean": np.ones(4)}, r"array part\.components must be floats of shape \(4, 'k'\)"),
        ({"mean": np.ones(3, int)}, r"array part\.mean .* int64 of shape \(3,\)"),
        ({"components": np.ones((0, 2))}, r"array part\.components"),
        ({"components": np.array([[1, np.nan]] * 3)}, r"array part\.components must be finite"),
        ({"mean": np.array([1.0, np.inf, 1])}, r"array part\.mean must be finite"),
        ({"mean": np.array([1.0, 0, 1])}, r"array part\.mean must be above 0"),
    ],
)
def test_arrays_are_checked_against_each_other(change, message):
    assert _check_arrays(ARRAYS, SHAPES, "part", positive=["mean"]) == {"d": 3, "k": 2}
    with pytest.raises(ModelFormatError, match=message):
        _check_arrays(ARRAYS | change, SHAPES, "part", positive=["mean"])


def test_arrays_fit_what_is_known():
    with pytest.raises(ModelFormatError, match=r"part\.mean must be floats of shape \(5,\)"):
        _check_arrays(ARRAYS, SHAPES, "part", {"d": 5})
    with pytest.raises(ModelFormatError, match=r"lacks the array part\.mean"):
        _check_arrays({}, SHAPES, "part")


def test_no_more_layers_than_there_are_arrays():
    _check_layers({"widths": [512, 256], "depth": 16, "dim": 768}, 20, "network")
    for options in ({"widths": [8] * 21}, {"depth": 60_000}, {"blocks": [10, 11]}):
        with pytest.raises(ModelFormatError, match="at most 20 layers, as saved"):
            _check_layers(options, 20, "network")
