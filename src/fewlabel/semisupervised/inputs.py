"""What the estimators of self-training take: rows or images, and parameters in range."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from fewlabel.errors import UsageError


def are_images(X: Any) -> bool:
    """Tell images from rows of numbers.

    Parameters
    ----------
    X : Any
        What an estimator is given.

    Returns
    -------
    bool
        True for uint8 arrays of shape (n, H, W) or (n, H, W, C).

    Examples
    --------
    >>> are_images(np.zeros((2, 8, 8), np.uint8)), are_images(np.zeros((2, 8)))
    (True, False)
    """
    return isinstance(X, np.ndarray) and X.dtype == np.uint8 and X.ndim in (3, 4)


def check_rows(estimator: Any, X: Any) -> Any:
    """Check rows to predict; images pass as they are.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X : array-like of shape (m, d), or uint8 images
        Rows.

    Returns
    -------
    ndarray
        Rows as float32, or the images.
    """
    return X if are_images(X) else validate_data(estimator, X, dtype=np.float32, reset=False)


def check_rows_and_labels(estimator: Any, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Check rows or images, and one label for each.

    Parameters
    ----------
    estimator : estimator
        Not fitted.
    X : array-like of shape (n, d), or uint8 images
        Rows.
    y : array-like of shape (n,)
        Labels.

    Returns
    -------
    X : ndarray
        Rows as float32, or the images.
    y : ndarray of shape (n,)
        Labels.

    Raises
    ------
    UsageError
        If there are more or fewer labels than images.
    """
    if not are_images(X):
        checked: tuple[np.ndarray, np.ndarray] = validate_data(estimator, X, y, dtype=np.float32)
        return checked
    y = np.asarray(y)
    if y.ndim != 1 or len(y) != len(X):
        raise UsageError(
            f"{type(estimator).__name__} needs one label an image. Got labels of shape {y.shape} "
            f"for {len(X)} images instead."
        )
    return X, y


def demand(fine: bool, name: str, expected: str, estimator: Any) -> None:
    """Refuse a parameter out of range.

    Parameters
    ----------
    fine : bool
        Whether it is in range.
    name : str
        Its name.
    expected : str
        What it must be, in words.
    estimator : estimator
        Whose parameter it is.

    Raises
    ------
    UsageError
        If it is not fine.
    """
    if not fine:
        raise UsageError(
            f"The '{name}' parameter of {type(estimator).__name__} must be {expected}. "
            f"Got {getattr(estimator, name)!r} instead."
        )


def digest_of(*parts: Any) -> str:
    """Name data and settings, so that what was kept of others is not taken.

    Parameters
    ----------
    *parts : ndarray or JSON type
        Whatever decides the result.

    Returns
    -------
    str
        32 hexadecimal digits.

    Examples
    --------
    >>> digest_of(np.arange(3), 0.5) == digest_of(np.arange(3), 0.6)
    False
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.shape} {part.dtype}".encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            digest.update(json.dumps(part, default=str, sort_keys=True).encode())
    return digest.hexdigest()
