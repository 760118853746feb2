"""What a prediction service counts, for Prometheus."""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class _Metrics:
    """Counters of one service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        self.requests = counter("fewlabel_requests", "Requests.", ("path", "model", "status"))
        self.seconds = histogram(
            "fewlabel_request_seconds", "Time of requests.", ("path",), buckets=_SECONDS
        )
        self.batches = histogram(
            "fewlabel_batch_images", "Images predicted at once.", buckets=_SIZES
        )
        self.images = counter(
            "fewlabel_images", "Images, by what came of them.", ("model", "found")
        )
        self.reload_failed = gauge(
            "fewlabel_reload_failed", "1 where the latest model could not be loaded.", ("model",)
        )
        self.waiting = gauge("fewlabel_waiting_images", "Images that wait.")
