import pytest

from tests.experiments.examples import Coin


@pytest.fixture
def coin(tmp_path):
    """A study that takes no time."""
    return Coin(tmp_path / "coin")
