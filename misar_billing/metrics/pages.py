"""What django-prometheus counts about pages. An API request passes it by: it would cost a charge too much."""

from typing import Any

from django.http import HttpRequest
from django_prometheus.middleware import Metrics, PrometheusAfterMiddleware

from misar_billing.middleware import PagesOnly

# Those of its metrics that say what counts.py does not, with their names and meanings here.
KEPT = {
    "django_http_responses_body_total_bytes": ("misar_page_bytes", "Size of the pages that were answered."),
    "django_http_responses_total_by_templatename": (
        "misar_page_templates",
        "Pages that were answered, by template.",
    ),
    "django_http_exceptions_total_by_type": ("misar_page_exceptions", "Exceptions of pages, by type."),
}


class Ignored:
    """Stands for a metric that is not kept."""

    def labels(self, **labels: str) -> "Ignored":
        return self

    def inc(self, amount: float = 1) -> None:
        pass

    def observe(self, amount: float) -> None:
        pass


class PageMetrics(Metrics):
    """Registers only the metrics of KEPT."""

    def register_metric(
        self, metric_cls: Any, name: str, documentation: str, labelnames: Any = (), **options: Any
    ) -> Any:
        if name not in KEPT:
            return Ignored()
        return metric_cls(*KEPT[name], labelnames=labelnames, **options)


class Pages(PagesOnly, PrometheusAfterMiddleware):
    metrics_cls = PageMetrics

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Django calls this for API requests, too; they have no time that it could measure."""
        if hasattr(request, "prometheus_after_middleware_event"):
            super().process_exception(request, exception)
