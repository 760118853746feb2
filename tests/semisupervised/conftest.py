"""Digits of which few are labeled."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from fewlabel.data import MultiLabel, SingleLabel


@pytest.fixture(scope="module", params=[SingleLabel(), MultiLabel()], ids=lambda task: task.name)
def task(request):
    return request.param


def few_digits():
    """Return rows with 150 labels, the labels, the truth, and rows to test on."""
    X, truth = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    X, truth = (X[order] / 16).astype(np.float32), truth[order]
    return X[:1_200], np.where(np.arange(1_200) < 150, truth[:1_200], -1), truth, X[1_200:]


@pytest.fixture(scope="session")
def few():
    return few_digits()


def sums_of_digits(n=1_500, n_train=1_200, n_labeled=200):
    """Return a digit 0-4 beside a digit 5-9: rows, few labels, all of them, rows to test on."""
    X, truth = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    low = rng.choice(np.flatnonzero(truth < 5), n)
    high = rng.choice(np.flatnonzero(truth >= 5), n)
    Y = np.zeros((n, 10), dtype=int)
    Y[np.arange(n), truth[low]] = 1
    Y[np.arange(n), truth[high]] = 1
    X = np.concatenate([X[low], X[high]], axis=1).astype(np.float32) / 16
    known = np.where(np.arange(n_train)[:, None] < n_labeled, Y[:n_train], -1)
    return X[:n_train], known, Y, X[n_train:]
