"""Fixtures that several packages' tests share."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from fewlabel.compute import matmul_dtype


@contextmanager
def _products_in(dtype: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEWLABEL_MATMUL", dtype)
        matmul_dtype.cache_clear()
        yield
    matmul_dtype.cache_clear()


@pytest.fixture
def float32() -> Iterator[None]:
    """Multiply in float32: for tests of exact figures, which bfloat16 would round."""
    with _products_in("float32"):
        yield


@pytest.fixture(params=["float32", "bfloat16"])
def arithmetic(request: pytest.FixtureRequest) -> Iterator[torch.dtype]:
    """Multiply in float32, then in bfloat16, as processors with matrix units for it do."""
    with _products_in(request.param):
        yield matmul_dtype()


@pytest.fixture(scope="module")
def float32_module() -> Iterator[None]:
    """Multiply in float32 in a whole module, whose fixtures train networks, too."""
    with _products_in("float32"):
        yield
