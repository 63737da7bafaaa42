"""The metrics as Prometheus parses them."""

import json

from prometheus_client.parser import text_string_to_metric_families

from misar_billing.metrics import figures
from misar_billing.metrics.exposition import exposition


def forget_what_was_read() -> None:
    """Let the next reading ask the database again."""
    for figure in figures.FIGURES:
        figure.due_at = 0.0


class Exposed:
    """One reading: its text, and its values by name and labels."""

    def __init__(self) -> None:
        forget_what_was_read()
        body, self.content_type = exposition()
        self.text = body.decode()
        self.families = list(text_string_to_metric_families(self.text))
        self.values = {
            self._key(sample.name, sample.labels): sample.value
            for family in self.families
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        return self.values.get(self._key(name, labels), 0.0)

    @staticmethod
    def _key(name: str, labels: dict[str, str]) -> str:
        return name + json.dumps(labels, sort_keys=True)
