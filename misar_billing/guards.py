"""The laws about what no app has an inventory for: tables of others, and objects that change what a query means."""

import accounts.guards
import monetization.guards
import wallet.books.guards
from foundation.database import guards
from misar_billing.privileges import TABLES

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
