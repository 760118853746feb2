"""Whatever the schema allows, and what it does not: nothing ends in an error of the server."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from fewlabel.data import load_images
from fewlabel.labelling.session import _Session
from fewlabel.labelling.store import open_store
from fewlabel.web.app import _create_app
from fewlabel.web.thumbnails import _Thumbnails
from tests.web.stand_ins import InOrder, Told

HERE = {"host": "127.0.0.1"}
# They take nothing that could be wrong.
NOTHING_TAKEN = (
    "/healthz",
    "/api/people",
    "/api/rounds",
    "/api/review/rounds",
    "/api/review/confusion",
)


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_nothing_ends_in_an_error_of_the_server(tmp_path: Path, mode: str) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    images = load_images("digits").subset(range(40))
    with open_store(images, tmp_path / "labels.csv", several=True) as store:
        queue = InOrder(len(images), store, [("1", tuple(range(40)))])
        session = _Session(store, queue, Told([f"{i % 3}|" for i in range(40)]))
        app = _create_app(session, thumbnails=_Thumbnails(images, tmp_path / "kept"))
        schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=HERE)
        operations = [found.ok() for found in schema.get_all_operations()]
        assert len(operations) > 9
        for operation in operations:
            if operation.path in NOTHING_TAKEN and mode == "negative":
                continue
            _try(operation, schemathesis.GenerationMode(mode))


def _try(operation: Any, mode: Any) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=8,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any) -> None:
        response = case.call(base_url="http://127.0.0.1:8000", headers=HERE)
        assert response.status_code < 500, (case, response.text)

    check()
