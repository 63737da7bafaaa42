"""The laws about what no app has an inventory for: tables of others, and objects that change what a query means."""

import time
from collections.abc import Iterator

import accounts.guards
import monetization.guards
import wallet.books.guards
from foundation.database import cluster, guards, nodes
from foundation.database.cluster import Placement
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
COPIED = "Each node of a cluster has the same prices, plans, keys and stops"
# A change that is committed right now may be on one node and not yet on another.
LOOKS_AT_COPIES = 3
PAUSE_SECONDS = 1.0


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
    for table, placement in placed.items():
        if placement == Placement.REFERENCE:
            for node in _with_another_copy(table):
                yield Violation(COPIED, table, f"other rows than on most nodes, on {node}")


def _with_another_copy(table: str) -> list[str]:
    """Return the nodes whose copy of this table differs, and goes on differing.

    A charge goes by the copy of the node that it enters. No law of prices or keys sees any but one of them.
    """
    for number in range(LOOKS_AT_COPIES):
        if number:
            time.sleep(PAUSE_SECONDS)
        if not (differing := nodes.differing_copies(table)):
            break
    return differing
