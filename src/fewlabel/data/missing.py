"""What means unlabeled: one rule for tables, arrays, pandas and every estimator."""

import re
import sys
import warnings
from collections.abc import Collection, Mapping
from numbers import Number
from typing import Any

import numpy as np

from fewlabel.errors import UsageError

# Also as numpy.savetxt writes it, and with what word processors make of the sign.
_MINUS_ONE = re.compile(r"[-\N{MINUS SIGN}\N{EN DASH}]1([.,]0*)?(e[+-]?0+)?", re.IGNORECASE)

# Nobody calls a class so, and nothing else is written so. All of these in lower case.
_SURE = frozenset({"", "<na>"})

# What programs write where there is no value.
_NOTHING = frozenset(
    {
        "nan",
        "-nan",
        "np.nan",
        "pd.na",
        "nat",
        "null",
        "<null>",
        "(null)",
        "\\n",
        "1.#qnan",
        "-1.#ind",
    }
) | {"#n/a", "#na", "#n/a n/a", "#null!", "#value!", "#ref!", "#div/0!", "#name?"}

# What people write there, perhaps in brackets; some of it could be the name of a class.
_DOUBTFUL = frozenset(
    {"na", "n/a", "n.a.", "none", "nil", "?", "??", "???", "-", "--", ".", "*", "missing"}
) | {
    *("undefined", "unknown", "unset", "unlabeled", "unlabelled", "not labeled", "not labelled"),
    *("no label", "without label", "tbd", "todo", "to do", "blank", "empty", "skip", "skipped"),
    *("...", "\N{HORIZONTAL ELLIPSIS}", "\N{EN DASH}", "\N{EM DASH}"),
}


def _as_array(y: Any) -> np.ndarray:
    """Return labels as an array, of dtype object where texts may stand beside None or NaN."""
    if isinstance(y, np.ma.MaskedArray):
        whole = np.array(y.data, dtype=object)
        whole[np.ma.getmaskarray(y)] = None
        return whole
    try:
        array = np.asarray(y)
    except ValueError:
        raise UsageError(
            "The labels must be one a row, or a table of 1, 0 and -1. Got rows of different "
            "lengths instead."
        ) from None
    # Of a list that holds a text, numpy makes texts of None and NaN as well.
    if array.dtype.kind in "US" and not hasattr(y, "dtype"):
        return np.asarray(y, dtype=object)
    return array


def _known_labels(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels that are known, (m,), in row order, and where they stand, as y in shape.

    None, NaN, NaT, pandas.NA, masked entries, blank texts, and -1 as a number or a text are not.
    Values that are neither all numbers nor all texts are of dtype object.
    """
    array = _as_array(y)
    if array.dtype.kind in "biuf":
        # NaN alone differs from itself.
        known = (array != -1) & (array == array)
        return array[known], known
    if array.dtype.kind == "U":
        # Tens of thousands of texts are few different ones.
        texts = array.ravel().tolist()
        is_known = {text: not _is_unlabeled(text) for text in set(texts)}
        known = np.array([is_known[text] for text in texts], dtype=bool).reshape(array.shape)
        return array[known], known
    items = [_decoded(value) for value in array.ravel().tolist()]
    flat = np.array([not _is_unlabeled(value) for value in items], dtype=bool)
    values = [value for value, is_known in zip(items, flat.tolist(), strict=True) if is_known]
    return _typed(values), flat.reshape(array.shape)


def _unlabeled_words(
    counts: Mapping[str, int], source: str, classes: Collection[str] = ()
) -> set[str]:
    """Return the texts that mean unlabeled and are none of ``classes``; warn of those in doubt."""
    sure = {text for text in counts if text.lower() in _SURE}
    texts = [text for text in counts if text not in sure and text not in classes]
    nothing = [text for text in texts if _is_unlabeled_text(text)]
    # Where the classes are known, what is none of them is refused anyway.
    rest = [] if classes else [text for text in texts if text not in nothing]
    doubtful = [text for text in rest if {text.lower(), _bare(text)} & _DOUBTFUL]
    if nothing:
        _warn_of_labels(
            f"{source}: {_counted(nothing, counts)} taken as unlabeled, as if left blank: if it "
            "is a class, give the class another name."
        )
    if doubtful:
        _warn_of_labels(
            f"{source}: {_counted(doubtful, counts)} kept as a class: if it means unlabeled, "
            "leave it blank, or call its folder unlabeled."
        )
    return sure.union(nothing)


def _is_unlabeled_text(text: str) -> bool:
    """Return whether a text, without blanks around it, is what programs write for no label."""
    # The same in small letters can be a class: none of the others.
    known = text == "None" or text.lower() in _SURE | _NOTHING
    return known or _MINUS_ONE.fullmatch(text) is not None


def _warn_of_plain_scorers() -> None:
    """Warn if a cross-validation of scikit-learn is about to score unlabeled rows as a class."""
    # The estimator never sees the labels of a test: only the loop around it holds them.
    frame = sys._getframe()
    while frame is not None and frame.f_code.co_name != "_fit_and_score":
        frame = frame.f_back  # type: ignore[assignment]
    scorer, y, test = (frame and frame.f_locals.get(name) for name in ("scorer", "y", "test"))
    each = getattr(scorer, "_scorers", {"": scorer}).values()
    # Only scorers of a measure compare with labels themselves.
    if test is None or not any(hasattr(scorer, "_score_func") for scorer in each):
        return
    if not _known_labels(np.asarray(y)[test])[1].all():
        _warn_of_labels(
            "The cross-validation tests unlabeled rows and counts them as wrong: use "
            "cv=LabeledKFold() and scoring=labeled_scorer(...) of fewlabel.model_selection."
        )


def _warn_of_one_class(y: Any, values: np.ndarray, known: np.ndarray, source: str) -> None:
    """Warn where -1 leaves a single class: perhaps it was meant as the other."""
    if known.all() or values.dtype == object or len(np.unique(values)) != 1:
        return
    if np.isin(_as_array(y).astype(str), ("-1", "-1.0")).any():
        _warn_of_labels(
            f"{source} takes -1 for unlabeled, which leaves one class, {values[0]}: if -1 is a "
            "class as well, number the classes from 0 on."
        )


def _warn_of_no_absence(table: np.ndarray, who: str) -> None:
    """Warn of a table that says no label absent: perhaps -1 was meant to."""
    if (table < 0).any() and (table != 0).all():
        _warn_of_labels(
            f"To {who}, -1 means not known, and no label is ever absent: say where one is, in "
            "an array with 0."
        )


def _warn_of_labels(message: str) -> None:
    """Warn of labels, in the line that handed them over."""
    warnings.warn(message, UserWarning, stacklevel=5)


def _is_unlabeled(value: Any) -> bool:
    if isinstance(value, str):
        text = value.strip()
        return text.lower() in _SURE or _MINUS_ONE.fullmatch(text) is not None
    try:
        # NaN and NaT differ from themselves.
        return value is None or bool(value != value or value == -1)
    except TypeError:
        # pandas.NA says of no comparison whether it is true.
        return True


def _decoded(value: Any) -> Any:
    # Files of HDF5 and of old numpy hold bytes.
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _typed(values: list[Any]) -> np.ndarray:
    if all(isinstance(value, str) for value in values):
        return np.array(values, dtype=str)
    if all(isinstance(value, Number | np.bool_) for value in values):
        return np.array(values)
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def _bare(text: str) -> str:
    return re.sub(r"[\s_-]+", " ", text.lower()).strip(" ()[]<>{}'\"")


def _counted(texts: list[str], counts: Mapping[str, int]) -> str:
    total = sum(counts[text] for text in texts)
    listed = ", ".join(f"{text!r} ({counts[text]:,})" for text in texts)
    return f"{total:,} label{' is' if total == 1 else 's are'} {listed},"
