"""Where each table is on a cluster, found from the models. foundation/database/cluster.py explains the words.

A model is distributed if it has a wallet: it is the wallet itself, or it has a column `wallet_id`. So a new
table of a wallet is never forgotten. A few tables are read by every charge and written by staff only: they
are on every node. All other tables are local to the coordinator.
"""

from django.apps import apps
from django.db.models import Model

from accounts.models import Maintenance, Plan, ServiceKey, StoppedProduct
from foundation.database.cluster import Place, Placement
from wallet.models import Rate, Wallet

WALLET_COLUMN = "wallet_id"
ON_EVERY_NODE = (Maintenance, Plan, Rate, ServiceKey, StoppedProduct)
_REFERENCE = {model._meta.db_table for model in ON_EVERY_NODE}
_LOCAL = Place(Placement.LOCAL)


def place_of(model: type[Model]) -> Place:
    """Return where a model's table is. The model may be one of a migration, which has fields only."""
    meta = model._meta
    if meta.db_table == Wallet._meta.db_table:
        return Place(Placement.DISTRIBUTED, column=str(meta.pk.column))
    if meta.db_table in _REFERENCE:
        return Place(Placement.REFERENCE)
    if any(field.column == WALLET_COLUMN for field in meta.local_concrete_fields):
        return Place(Placement.DISTRIBUTED, column=WALLET_COLUMN)
    return _LOCAL


def of_models() -> dict[str, Place]:
    """Return where the table of each model is. The wallet comes first: all others are placed beside it."""
    found = {Wallet._meta.db_table: place_of(Wallet)}
    for model in apps.get_models(include_auto_created=True):
        if model._meta.managed and not model._meta.proxy:
            found.setdefault(model._meta.db_table, place_of(model))
    return found


def of_tables(tables: list[str]) -> dict[str, Place]:
    """Return where each of these tables of a database is. Some of them have no model."""
    places = of_models()
    found = {table: place for table, place in places.items() if table in tables}
    return found | {table: _LOCAL for table in tables if table not in found}
