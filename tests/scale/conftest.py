"""A Ray cluster of two workers on this machine, started once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from fewlabel.model import Model
from fewlabel.runs.folder import save_run
from fewlabel.runs.model import load_run
from tests.conftest import Example


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """Two workers, without a dashboard."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # The workers are compared with a process that computes in float32.
        patch.setenv("FEWLABEL_MATMUL", "float32")
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=150_000_000,
            log_to_driver=False,
            logging_level="ERROR",
        )
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def model(digits: Example, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model of digits, as a run folder gives it."""
    out = tmp_path_factory.mktemp("runs") / "run"
    save_run(digits.fit(), digits.images, out, command="fewlabel fit")
    return load_run(out)


@pytest.fixture(scope="session")
def folder(digits: Example, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The new digits as files, of which one is damaged."""
    root = tmp_path_factory.mktemp("photos")
    for row, pixels in enumerate(digits.new.read(slice(None), size=(32, 32), channels=3)):
        Image.fromarray(pixels).save(root / f"{row:03}.png")
    data = (root / "017.png").read_bytes()
    (root / "017.png").write_bytes(data[: len(data) // 2])
    return root
