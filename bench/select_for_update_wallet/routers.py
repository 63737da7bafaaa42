"""Which connection the usual wallet uses."""

from typing import Any

from django.db.models import Model

from bench.settings import USUAL


class UsualRouter:
    """Sends the queries of the usual wallet over a connection with Django's own engine."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        return USUAL if model._meta.app_label == "select_for_update_wallet" else None

    db_for_write = db_for_read
