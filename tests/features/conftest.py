import numpy as np


def noise(n=40, side=10, channels=3, seed=0):
    """Random uint8 images of shape (n, side, side, channels)."""
    shape = (n, side, side, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
