"""The text that Prometheus reads: what all workers have counted, and the figures from the database."""

from collections.abc import Iterator

from prometheus_client import REGISTRY, CollectorRegistry, Metric, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from misar_billing.metrics import counts, pages, processes  # noqa: F401 (their metrics exist from the import on)
from misar_billing.metrics.figures import Figures


class Counts(Collector):
    """What the workers of this machine have counted, or else this process."""

    def collect(self) -> Iterator[Metric]:
        folder = processes.directory()
        if folder is None:
            yield from (metric for metric in REGISTRY.collect() if metric.name.startswith("misar_"))
            return
        with processes.alone(folder, wait=True):
            counted = list(MultiProcessCollector(None, str(folder)).collect())
        yield from counted


registry = CollectorRegistry(auto_describe=False)
registry.register(Counts())
registry.register(Figures())


def exposition() -> tuple[bytes, str]:
    """Return the metrics and their content type. Without a database, only what was counted."""
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4
