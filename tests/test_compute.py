import resource
import sys

import numpy as np
import pytest
import threadpoolctl
import torch

from fewlabel import compute
from fewlabel.compute import (
    _as_generator,
    _gemm_rates,
    _in_threads,
    _pick_device,
    _threads_for,
    matmul_dtype,
    peak_rss_mb,
)
from fewlabel.errors import UsageError


@pytest.fixture(autouse=True)
def the_processor_decides(monkeypatch):
    monkeypatch.delenv("FEWLABEL_MATMUL", raising=False)


def test_auto_takes_the_best_device_that_is_present(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert _pick_device() == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert _pick_device() == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert _pick_device() == torch.device("cuda")
    assert _pick_device("cpu") == torch.device("cpu")


def test_a_device_that_is_not_present_or_that_nobody_knows(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=r"'cuda' is not present here: use --device auto, or see"):
        _pick_device("cuda")
    with pytest.raises(UsageError, match=r"one of auto, cpu, cuda, mps. Got 'tpu' instead"):
        _pick_device("tpu")


@pytest.mark.parametrize("bfloat16", [True, False])
def test_the_type_follows_the_processor_unless_the_environment_decides(bfloat16, monkeypatch):
    expected, other = (torch.bfloat16, torch.float32)[:: 1 if bfloat16 else -1]
    monkeypatch.setattr(compute, "_has_bf16_matrix_units", lambda: bfloat16)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bfloat16)
    assert matmul_dtype() is matmul_dtype("cuda") is expected
    assert matmul_dtype("mps") is torch.float32
    monkeypatch.setenv("FEWLABEL_MATMUL", str(other).removeprefix("torch."))
    assert matmul_dtype() is matmul_dtype("cuda") is other


@pytest.mark.parametrize("name", ["float16", "", "BFLOAT16"])
def test_a_type_that_is_not_offered(name, monkeypatch):
    monkeypatch.setenv("FEWLABEL_MATMUL", name)
    with pytest.raises(UsageError, match=f"must be float32 or bfloat16. Got '{name}' instead"):
        matmul_dtype()


def test_matrix_units_are_asked_for_in_any_torch(monkeypatch):
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert compute._has_bf16_matrix_units() is False
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    assert compute._has_bf16_matrix_units() is True


def test_rates_are_measured():
    rates = _gemm_rates(64)
    assert set(rates) == {"float32", "bfloat16"}
    assert min(rates.values()) > 0


def test_small_work_stays_on_one_thread_and_the_number_is_given_back():
    def threads():
        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]

    before = threads()
    with _threads_for(1e6):
        assert set(threads()) == {1}
    assert threads() == before
    with _threads_for(1e12):
        assert threads() == before


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_parts_are_done_once_each_by_threads_that_compute_alone(three_threads):
    parts, seen = [], set()

    def work(part):
        parts.append(part)
        seen.add(torch.get_num_threads())

    _in_threads(work, 100, 4)
    assert seen == {1}
    assert sorted(row for part in parts for row in range(part.start, min(part.stop, 100))) == list(
        range(100)
    )
    # Whole steps, so that the sums of a step do not depend on the number of threads.
    assert all(part.start % 4 == 0 for part in parts)
    assert torch.get_num_threads() == 3
    seen.clear()
    _in_threads(work, 8, 4)
    assert seen == {3}
    _in_threads(work, 0, 4)


def test_an_error_in_a_thread_is_raised_and_the_number_of_threads_is_given_back(three_threads):
    with pytest.raises(ZeroDivisionError):
        _in_threads(lambda part: 1 // part.start, 100, 4)
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize(("platform", "expected"), [("linux", 2.048), ("darwin", 0.002)])
def test_the_unit_of_the_peak_follows_the_platform(platform, expected, monkeypatch):
    class Usage:
        ru_maxrss = 2_000

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(resource, "getrusage", lambda who: Usage)
    assert peak_rss_mb() == pytest.approx(expected)


def test_generators_follow_the_seed_or_numpys_global_state():
    assert _as_generator(3).random() == _as_generator(3).random() != _as_generator(4).random()
    state = np.random.RandomState(0)
    first = _as_generator(state).random()
    assert _as_generator(state).random() != first
    assert _as_generator(np.random.RandomState(0)).random() == first
    np.random.seed(5)  # noqa: NPY002
    first = _as_generator(None).random()
    np.random.seed(5)  # noqa: NPY002
    assert _as_generator(None).random() == first
    assert _as_generator(None).random() != first
