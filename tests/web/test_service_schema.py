"""Whatever the description of the service allows, and what it does not: no error of the server."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

pytest.importorskip("fastapi")

from fewlabel.web.limits import _Limits
from fewlabel.web.models import _Models
from fewlabel.web.service import _Service
from tests.hostile import png
from tests.web.test_service import DAMAGED, odd_images

HERE = {"host": "127.0.0.1"}


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_nothing_ends_in_an_error_of_the_server(run: Path, mode: str) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    models = _Models({"first": run})
    with _Service(models, _Limits(max_body=100_000), lambda fields: None) as service:
        schema = schemathesis.openapi.from_asgi("/openapi.json", service.app, headers=HERE)
        operations = {found.ok().label: found.ok() for found in schema.get_all_operations()}
        assert len(operations) == 7
        for label, operation in operations.items():
            if mode == "negative" and label.startswith("GET"):
                continue

            @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
            @settings(
                max_examples=30 if "predict" in label else 4,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def check(case) -> None:
                response = case.call(base_url="http://127.0.0.1:8000", headers=HERE)
                assert response.status_code < 500, (case, response.text)

            check()


def test_damaged_images_are_never_an_error_of_the_server(run: Path) -> None:
    from hypothesis import strategies as st
    from starlette.testclient import TestClient

    known = [*odd_images().values(), *DAMAGED.values(), png(3, 3)]
    changes = st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=9
    )
    with _Service(_Models({"first": run}), _Limits(), lambda fields: None) as service:
        client = TestClient(service.app, base_url="http://127.0.0.1:8000")

        @given(st.sampled_from(known), changes, st.floats(0.01, 1))
        @settings(max_examples=150, deadline=None, derandomize=True, database=None)
        def check(data: bytes, changes: list[tuple[float, int]], kept: float) -> None:
            damaged = bytearray(data)
            for where, value in changes:
                damaged[int(where * len(damaged))] = value
            body = bytes(damaged[: int(kept * len(damaged))])
            got = client.post("/predict", content=body, headers={"content-type": "image/png"})
            assert got.status_code in (200, 422), got.text

        check()
