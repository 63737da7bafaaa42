"""The law about the tables that are not ours: Django's and those of other packages."""

from foundation.database import guards

LAWS = {
    "No other table has a trigger or a rule": guards.law(
        guards.Guards(names="^(?!accounts_|wallet_|monetization_)")
    ),
}
