"""What a prediction service counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Type of the text that `Metrics.text` returns."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class _Metrics:
    """Counters of one service."""

    def __init__(self, n_waiting: Callable[[], int]) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "fewlabel_requests", "Requests.", ("path", "model", "status"), registry=registry
        )
        self._seconds = Histogram(
            "fewlabel_request_seconds",
            "Time of requests.",
            ("path",),
            registry=registry,
            buckets=_SECONDS,
        )
        self._batches = Histogram(
            "fewlabel_batch_images",
            "Images predicted at once.",
            registry=registry,
            buckets=_SIZES,
        )
        self._images = Counter(
            "fewlabel_images",
            "Images, by what came of them.",
            ("model", "found"),
            registry=registry,
        )
        self._stale = Gauge(
            "fewlabel_reload_failed",
            "1 where the latest model could not be loaded.",
            ("model",),
            registry=registry,
        )
        waiting = Gauge("fewlabel_waiting_images", "Images that wait.", registry=registry)
        waiting.set_function(n_waiting)

    def count_request(self, path: str, model: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(path, model, status).inc()
        self._seconds.labels(path).observe(seconds)

    def count_batch(self, n_images: int) -> None:
        """Count images that were predicted at once."""
        self._batches.observe(n_images)

    def count_images(self, model: str, found: str, n: int) -> None:
        """Count images that were ``accepted``, ``abstained`` on, or ``unreadable``."""
        if n:
            self._images.labels(model, found).inc(n)

    def text(self, reload_failed: dict[str, bool]) -> bytes:
        """Return all counts in the form of Prometheus."""
        for name, failed in reload_failed.items():
            self._stale.labels(name).set(failed)
        return generate_latest(self._registry)
