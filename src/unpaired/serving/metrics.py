"""What is counted, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
TOGETHER = (1, 2, 4, 8, 16, 32, 64)
MEDIA = CONTENT_TYPE_LATEST


class Metrics:
    """One registry per server. Labels come from what is served, never from what a client sends."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        by = ("model", "direction")
        self.requests = Counter(
            "unpaired_requests",
            "Requests to translate, by the status of their answers; 499: the client went away",
            (*by, "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "unpaired_request_seconds",
            "From the first byte of a translated picture to its answer",
            by,
            buckets=SECONDS,
            registry=self.registry,
        )
        self.pixels = Counter(
            "unpaired_pixels", "Pixels that were translated", by, registry=self.registry
        )
        self.batch = Histogram(
            "unpaired_batch_size",
            "Pictures that went through a network together",
            buckets=TOGETHER,
            registry=self.registry,
        )
        self.queue = Gauge(
            "unpaired_queue_length", "Requests waiting or at work", registry=self.registry
        )
        self.workers = Gauge(
            "unpaired_workers_ready", "Workers that can translate", registry=self.registry
        )
        self.deaths = Counter(
            "unpaired_worker_deaths", "Workers that ended unexpectedly", registry=self.registry
        )

    def text(self) -> bytes:
        """The page that Prometheus reads."""
        return generate_latest(self.registry)
