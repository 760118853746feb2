"""Digits as rows and images, and in pairs, for the tests of classifiers made of networks."""

import numpy as np
from sklearn.datasets import load_digits

X, Y = load_digits(return_X_y=True)
X = X.astype(np.float32)
IMAGES = (X.reshape(-1, 8, 8) * 15).astype(np.uint8)
SMALL = {"widths": (32, 16), "dropout": 0.1}
QUICK = {
    "options": {"widths": (8, 16)},
    "n_epochs": 1,
    "min_steps": 120,
    "learning_rate": 5e-3,
    "random_state": 0,
}
SHORT = QUICK | {"min_steps": 20}


def pairs(n, seed):
    """Put two digits side by side, in images of 8 x 16: a table of which there are."""
    chosen = np.random.default_rng(seed).integers(len(Y), size=(n, 2))
    table = np.zeros((n, 10), dtype=int)
    np.put_along_axis(table, Y[chosen], 1, axis=1)
    return np.concatenate([IMAGES[chosen[:, 0]], IMAGES[chosen[:, 1]]], axis=2), table


PAIRS, TABLE = pairs(400, 0)
NEW_PAIRS, NEW_TABLE = pairs(200, 1)
