"""Fine-tuning as a candidate."""

import pytest

from fewlabel.errors import UsageError
from tests.semisupervised.conftest import follow


def test_it_wants_a_pretrained_network(task):
    with pytest.raises(UsageError, match="name one with --backbone"):
        follow(task, "fine-tuning")
