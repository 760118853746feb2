from fewlabel import threads
from fewlabel.threads import _calm_threads, _usable_cores
from tests.interpreter import run_code


def test_what_the_user_has_set_stays():
    environment = {"OMP_NUM_THREADS": "3", "OMP_WAIT_POLICY": "ACTIVE"}
    _calm_threads(environment)
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["OMP_WAIT_POLICY"] == "ACTIVE"
    assert environment["OPENBLAS_THREAD_TIMEOUT"] == "4"
    assert environment["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "32"


def test_a_quota_bounds_the_cores(monkeypatch, tmp_path):
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: range(64), raising=False)
    for text, cores in [("150000 100000\n", 2), ("max 100000\n", 64), ("nonsense", 64)]:
        (tmp_path / "cpu.max").write_text(text)
        monkeypatch.setattr(threads, "_QUOTA", tmp_path / "cpu.max")
        assert _usable_cores() == cores
    _calm_threads(environment := {})
    assert environment["OMP_NUM_THREADS"] == "16"


def test_the_threads_are_calmed_before_any_pool_is_made():
    result = run_code(
        "import os, sys, fewlabel\n"
        "assert 'numpy' not in sys.modules\n"
        "assert os.environ['OMP_WAIT_POLICY'] == 'PASSIVE'\n"
    )
    assert result.returncode == 0, result.stderr
