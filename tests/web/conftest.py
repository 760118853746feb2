from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

from fewlabel.data import ImageSet, load_images
from fewlabel.labelling.session import _Session
from fewlabel.labelling.store import open_store
from fewlabel.web.app import _create_app
from fewlabel.web.thumbnails import _Thumbnails
from tests.web.browser import chromium, open_page  # noqa: F401
from tests.web.stand_ins import InOrder

HERE = "http://127.0.0.1:8000"


@pytest.fixture(scope="session")
def digit_images() -> ImageSet:
    return load_images("digits")


Make = Callable[..., _Session]


@pytest.fixture
def make(digit_images: ImageSet, tmp_path: Path) -> Iterator[Make]:
    """Make a session on the digits, or on other images."""
    made: list[_Session] = []

    def session(
        images: ImageSet = digit_images, several: bool = False, repeats: int = 1, **options: Any
    ) -> _Session:
        table = tmp_path / "labels.csv"
        store = open_store(images, table, several=several, repeats=repeats)
        queue = InOrder(len(images), store, options.pop("pages", []))
        made.append(_Session(store, queue, table=str(table), **options))
        return made[-1]

    yield session
    for one in made:
        one.close()


@pytest.fixture
def session(make: Make) -> _Session:
    return make()


def client_of(session: _Session, tmp_path: Path, **options: Any) -> TestClient:
    """Return a client that sends what a browser on this machine sends."""
    thumbnails = _Thumbnails(session.images, tmp_path / "thumbnails")
    return TestClient(_create_app(session, thumbnails=thumbnails, **options), base_url=HERE)


@pytest.fixture
def client(session: _Session, tmp_path: Path) -> TestClient:
    return client_of(session, tmp_path)
