import http.server
import threading
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image


@contextmanager
def serving(handler):
    """Serve on this machine; give the address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def at_most(n_bytes):
    """Fail if Python's memory grows by more than this inside the block."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < n_bytes


@pytest.fixture
def save_photo(tmp_path):
    """Save a seeded smooth image under ``tmp_path``; the suffix gives the format."""

    def save(name, seed=0, size=(40, 30), mode="RGB"):
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).convert(mode)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
        return path

    return save
