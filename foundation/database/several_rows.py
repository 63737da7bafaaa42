"""INSERTs of several rows that share most of their values, prepared once for each number of rows.

Each connection keeps the statements that it has prepared. So there are few numbers of rows, and an insert of
another number is several statements.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from django.db import connection, models
from django.db.models.sql import InsertQuery

from foundation.database.compiled import Call
from foundation.database.engine.pipeline import Prepared

# Each number of rows is a sum of these.
SIZES = (50, 32, 16, 8, 4, 2, 1)


def inserts(model: type[models.Model], shared: dict[str, Any], rows: Sequence[dict[str, Any]]) -> list[Call]:
    """Return the statements that write 1 to 50 rows of a model, in their order.

    `shared` has the values of the fields that are alike in all rows. Each row has those of all other fields,
    in the order of the first row.
    """
    own = tuple(rows[0])
    calls = []
    start = 0
    for size in _sizes(len(rows)):
        some = rows[start : start + size]
        values = [*shared.values(), *(value for row in some for value in row.values())]
        calls.append((_insert(model, tuple(shared), own, size), values))
        start += size
    return calls


def _sizes(number: int) -> Iterator[int]:
    for size in SIZES:
        if size <= number:
            yield size
            number -= size


@cache
def _insert(model: type[models.Model], shared: tuple[str, ...], own: tuple[str, ...], size: int) -> Prepared:
    """Return Django's INSERT of a row, with as many rows of values. Shared values have the first places."""
    fields = {field.attname: field for field in model._meta.concrete_fields}
    order = [*shared, *own]
    assert set(order) == set(fields), "each field has a value"
    query = InsertQuery(model)
    row = model(**dict.fromkeys(order))
    query.insert_values([fields[name] for name in order], [row], raw=True)
    [(sql, _)] = query.get_compiler(connection=connection).as_sql()
    into, _, _ = sql.partition(" VALUES ")
    first = ", ".join(f"${place + 1}" for place in range(len(shared)))
    rows = []
    for number in range(size):
        begin = len(shared) + number * len(own)
        rows.append(f"({first}, {', '.join(f'${begin + place + 1}' for place in range(len(own)))})")
    return Prepared.of(f"{into} VALUES {', '.join(rows)}")
