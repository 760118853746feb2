"""A random draw: the labels are a random sample, so estimates from them are unbiased."""

import numpy as np

from fewlabel.cluster.strategies import Picks, Pool, register_strategy


@register_strategy("random", is_random=True)
def _random(pool: Pool) -> Picks:
    """Draw images at random."""
    rows = pool.rng.choice(np.flatnonzero(pool.available), size=pool.budget, replace=False)
    return Picks(rows, np.zeros(pool.budget, dtype=np.int64), pool.budget)
