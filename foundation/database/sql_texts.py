"""Parts of the SQL of migrations: a function that an earlier one made, changed a little, and one trigger."""

# The function of the trigger that numbers rows. A migration of accounts makes it.
NUMBERING = "accounts_is_numbered_here"


def function_in(sql: str, name: str) -> str:
    """Return the statement that creates a function. Its body is quoted with $$. Raises ValueError."""
    start = sql.index(f"FUNCTION {name}(")
    begin, end = "CREATE OR REPLACE ", "END $$;"
    return begin + sql[start : sql.index(end, start) + len(end)]


def changed(statement: str, *changes: tuple[str, str]) -> str:
    """Return a statement in which each of these parts is replaced by another. Each must be there once."""
    for old, new in changes:
        if statement.count(old) != 1:
            raise ValueError(f"not once in the statement: {old}")
        statement = statement.replace(old, new)
    return statement


def numbered_here(table: str) -> tuple[str, str]:
    """Return the SQL that lets the coordinator of a cluster number the rows of a table, and its reverse.

    On a cluster, the node through which a row is written takes a number of its own range, from 2^48 on. Seals
    and lists need numbers in the order of the rows, and third parties' tables need numbers of 32 bits. On a
    single server, the function `accounts_is_numbered_here` changes nothing.
    """
    forward = f"""
CREATE OR REPLACE TRIGGER {table}_is_numbered_here BEFORE INSERT ON {table}
    FOR EACH ROW EXECUTE FUNCTION {NUMBERING}('{table}_id_seq');
"""
    return forward, f"DROP TRIGGER IF EXISTS {table}_is_numbered_here ON {table};"
