import math

import numpy as np
import pytest

from fewlabel.errors import UsageError
from fewlabel.params import _check_arguments, check_parameters, choice, each, integer, number

SHARE = number(0, 1, closed="right")


@pytest.mark.parametrize(
    ("constraints", "fine", "wrong", "text"),
    [
        ([integer(1)], [1, np.int64(7)], [0, 1.0, "1", None, True], "an int of at least 1"),
        ([integer(2, 5)], [2, 5], [1, 6], "an int from 2 to 5"),
        ([number(0)], [0, 1e300], [-1e-9, math.inf, math.nan, "0", False], "a number of at least"),
        ([number(0, closed="neither")], [1e-9], [0, math.inf], "a number above 0"),
        ([SHARE], [1, np.float32(0.5)], [0, 1.01], r"a float in \(0, 1\]"),
        ([number(0, 0.5, closed="both")], [0, 0.5], [0.6], r"a float in \[0, 0.5\]"),
        ([number(0, 1)], [0, 0.5], [1], r"a float in \[0, 1\)"),
        ([SHARE, None], [None, 0.5], [0], r"a float in \(0, 1\] or None"),
        ([choice(("b", "a"))], ["a", "b"], ["c", 1, None, ["a"]], "one of b, a"),
        ([each(SHARE)], [(0.5,), [1, 0.1]], [[], [0.5, 2], 0.5], "a list, each entry a float in"),
        (["boolean"], [True, np.True_], ["yes"], "'bool'"),
        ([callable, dict], [len, {}], [3], "a callable or an instance of 'dict'"),
    ],
)
def test_constraints(constraints, fine, wrong, text):
    for value in fine:
        _check_arguments("who", {"x": constraints}, x=value)
    for value in wrong:
        with pytest.raises(UsageError, match=f"^The 'x' parameter of who must be .*{text}.* Got "):
            _check_arguments("who", {"x": constraints}, x=value)


class Estimator:
    _parameter_constraints = {"k": [integer(1)], "how": [choice(("one", "other"))]}

    def __init__(self, k, how):
        self.k, self.how = k, how


def test_parameters_of_an_estimator():
    check_parameters(Estimator(1, "one"))
    with pytest.raises(UsageError, match=r"'how' parameter of Estimator must be .* Got 'no' inst"):
        check_parameters(Estimator(1, "no"))
    with pytest.raises(UsageError, match="'k' parameter of Estimator must be an int from 1 to 4"):
        check_parameters(Estimator(5, "one"), k=[integer(1, 4)])
