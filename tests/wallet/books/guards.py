"""What the database refuses, whatever goes round the verbs."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, NotSupportedError, connection, models, transaction

from tests import clusters

# A cluster itself refuses to move a row to another wallet, before any law does.
OF_ANOTHER_WALLET = "modifying the partition value of rows is not allowed"
Refuse = Callable[..., None]


@transaction.atomic
def in_a_transaction(attempt: Callable[[], Any]) -> None:
    """Deferred laws are checked at a commit, which a test never reaches. Here they are checked at the end."""
    attempt()
    connection.check_constraints()


def rows_of(*tables: type[models.Model]) -> list[list[dict[str, Any]]]:
    """Every row of these tables."""
    return [list(table._default_manager.order_by("pk").values()) for table in tables]


def refuser(*tables: type[models.Model]) -> Refuse:
    """A function that runs what the law of this name must refuse; no row of these tables may have changed."""

    def refuse(law: str, attempt: Callable[[], Any], error: type[Exception] = IntegrityError) -> None:
        before = rows_of(*tables)
        errors, laws = (
            ((error, NotSupportedError), f"{law}|{OF_ANOTHER_WALLET}") if clusters.nodes() else (error, law)
        )
        with pytest.raises(errors, match=laws):
            in_a_transaction(attempt)
        assert rows_of(*tables) == before

    return refuse
