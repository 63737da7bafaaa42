"""Makes the tables of migrations. On a cluster, a new table is placed before its foreign keys are made."""

from collections.abc import Callable
from typing import ClassVar

from django.db.backends.postgresql.schema import DatabaseSchemaEditor
from django.db.models import Model

from foundation.database import cluster
from foundation.database.cluster import Place


class SchemaEditor(DatabaseSchemaEditor):
    """Django's own, which calls `create_model` for each new table. Django makes foreign keys afterwards."""

    # Where the table of a model belongs. misar_billing puts its function here.
    place_of: ClassVar[Callable[[type[Model]], Place] | None] = None

    def create_model(self, model: type[Model]) -> None:
        super().create_model(model)
        place_of = type(self).place_of
        if place_of and not self.collect_sql and cluster.is_distributed():
            for _ in cluster.place({model._meta.db_table: place_of(model)}):
                pass
