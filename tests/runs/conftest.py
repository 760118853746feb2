"""Tests of this folder fit often."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def quick_estimates(five_folds):
    """What is done with estimates is looked at, not how sure they are."""
