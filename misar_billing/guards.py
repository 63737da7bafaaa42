"""The laws about what no app has an inventory for: tables of others, and objects that change what a query means."""

from collections.abc import Iterator

import accounts.guards
import monetization.guards
import wallet.books.guards
from foundation.database import cluster, guards, nodes
from misar_billing import placements
from misar_billing.privileges import TABLES
from wallet.books.laws import Violation

INVENTORIES = {
    "accounts": accounts.guards.GUARDS,
    "the wallet": wallet.books.guards.GUARDS,
    "creators' records": monetization.guards.GUARDS,
}

LAWS = {
    "Triggers or rules of tables that should have none": guards.law(
        guards.Guards(names="^(?!accounts_|wallet_|monetization_)")
    ),
    "Objects that can change what a query means": guards.foreign_objects("^(accounts|wallet|monetization)_"),
    "Tables that are not as this release makes them": guards.strange_tables(TABLES),
    "Settings that can change what a query reads": guards.STRANGE_SETTINGS,
}
# All of them, for a check that does not check the other laws of the apps.
ALL = {guards.name_of(app): guards.law(inventory) for app, inventory in INVENTORIES.items()} | LAWS
PLACED = "Tables that are not where a cluster should have them"


def misplaced() -> Iterator[Violation]:
    """Yield what breaks the law about the placement of tables; nothing on a single server.

    A table that is not placed is on the coordinator too, but a transaction that writes it and a wallet could be
    committed in one half.
    """
    placed = cluster.placed()
    if not placed:
        return
    for table, place in placements.of_tables(cluster.tables()).items():
        if placed.get(table) != place.placement:
            yield Violation(PLACED, table, f"{placed.get(table, 'not placed')}, not {place.placement}")
    for shard, detail in nodes.findings(nodes.MISSING_SHARDS):
        yield Violation(PLACED, shard, detail)
