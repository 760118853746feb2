"""Damaged files: a few of each reader; `benchmarks/fuzz.py` makes and reads ten thousand."""

import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "fuzz.py"
N_EACH = 60
READERS = ("images", "tables", "manifests", "npz", "idx", "models")
READERS += ("runs", "projects", "weights", "records", "answers")
# Numbers of inputs that once ended in a traceback.
TELLING = {"manifests": (3, 6, 13, 33, 7194, 8901, 9201)}


@pytest.fixture(scope="module")
def fuzz():
    sys.path.insert(0, str(BENCHMARK.parent))
    about = importlib.util.spec_from_file_location("fuzz", BENCHMARK)
    module = importlib.util.module_from_spec(about)
    about.loader.exec_module(module)
    yield module
    sys.path.remove(str(BENCHMARK.parent))


@pytest.mark.parametrize("reader", READERS)
def test_a_damaged_file_is_read_or_refused(reader, fuzz, tmp_path):
    seeds = fuzz.READERS[reader][0]()
    found = {}
    for number in (*range(N_EACH), *TELLING.get(reader, ())):
        name, data = fuzz.make(reader, number, seeds)
        (tmp_path / name).write_bytes(data)
        found[number] = fuzz.try_one(reader, tmp_path / name)
        (tmp_path / name).unlink(missing_ok=True)
    wrong = {n: outcome for n, outcome in found.items() if outcome not in ("read", "refused")}
    assert not wrong
    # A list of runs leaves out what is none.
    assert "refused" in found.values() or reader == "runs"
