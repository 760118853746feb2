import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from fewlabel.data import load_images
from fewlabel.data.folder import LOST
from fewlabel.model import Model
from fewlabel.scale import predict, ray
from fewlabel.scale.predict import predict_on_ray

pytestmark = [
    pytest.mark.usefixtures("cluster", "float32"),
    # Of Ray's own making.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def _written(out: Path) -> dict[str, list[Any]]:
    return pyarrow.parquet.read_table(out).to_pydict()


def _check_same(model: Model, source: Any, found: dict[str, list[Any]]) -> None:
    """Compare with what one process predicts, of the images that can be read."""
    expected = model.predict(source)
    known = [row for row, error in enumerate(found["error"]) if error is None]
    assert [found["label"][row] for row in known] == expected.texts
    confidence = [found["confidence"][row] for row in known]
    np.testing.assert_allclose(confidence, expected.confidence, atol=1e-5)
    assert [found["unlike"][row] for row in known] == expected.unlike.tolist()


def test_a_worker_that_is_killed_costs_its_block_and_not_the_work(
    model: Model, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "BLOCK", 50)
    monkeypatch.setattr(ray, "RETRIES", 1)
    killed, done = tmp_path / "killed", list[tuple[Any, ...]]()

    # Within the function, so that it is sent to the workers whole.
    class _Killed(predict._Predictor):
        def __call__(self, batch: pa.Table) -> pa.Table:
            first = batch["name"][0].as_py()
            # One dies once, and its block is done by the next; one block kills each time.
            if first == "250.png" or (first == "100.png" and not killed.exists()):
                killed.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__call__(batch)

    monkeypatch.setattr(predict, "_Predictor", _Killed)
    summary = predict_on_ray(
        model,
        str(folder),
        tmp_path / "out.parquet",
        probabilities=True,
        progress=lambda *step: done.append(step),
    )
    assert killed.exists()
    found = _written(tmp_path / "out.parquet")
    assert found["path"] == [f"{row:03}.png" for row in range(300)]
    images = load_images(folder, scale=model.scale)
    assert found["error"][17] == images.skipped[0].reason
    assert found["label"][17] is None
    assert found["error"][250:] == [LOST] * 50
    kept = {name: column[:250] for name, column in found.items()}
    _check_same(model, images.subset(range(249)), kept)
    proba = np.array([found[f"p({name})"][:17] for name in model.classes]).T
    np.testing.assert_allclose(proba, model.predict(images).proba[:17], atol=1e-5)
    assert (summary["n_images"], summary["n_skipped"]) == (249, 51)
    assert summary["failed"][0].path == "017.png"
    assert sum(row["n_images"] for row in summary["classes"].values()) == 249
    assert done[-1] == ("predict", 300, 300)


def test_tables_of_bytes_are_predicted_as_the_files(
    model: Model, folder: Path, tmp_path: Path
) -> None:
    files = sorted(folder.glob("*.png"))
    image = [{"bytes": file.read_bytes(), "path": file.name} for file in files]
    (tmp_path / "photos").mkdir()
    for part in range(2):
        table = pa.table({"image": image[part * 150 : part * 150 + 150]})
        place = tmp_path / "photos" / f"{part}.parquet"
        pyarrow.parquet.write_table(table, place, row_group_size=40)
    predict_on_ray(model, str(tmp_path / "photos"), tmp_path / "out.parquet")
    found = _written(tmp_path / "out.parquet")
    assert found["path"] == [file.name for file in files]
    _check_same(model, load_images(folder, scale=model.scale), found)


def test_an_array_is_predicted_by_its_indices(model: Model, folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "photos.npz", X=load_images(folder).read(range(60)))
    predict_on_ray(model, str(tmp_path / "photos.npz"), tmp_path / "out.parquet")
    found = _written(tmp_path / "out.parquet")
    assert found["index"] == [str(row) for row in range(60)]
    _check_same(model, load_images(tmp_path / "photos.npz", scale=model.scale), found)
