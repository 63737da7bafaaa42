"""Statements that Django compiles once, and that each connection sends to PostgreSQL already prepared.

Django takes several times as long to build and compile a query as PostgreSQL takes to run it. So the few
statements of a charge are querysets with slots in the place of values. They are compiled at their first use;
later uses only fill the slots. `run` sends several of them in one go, which saves the waits between them.

They go past Django's cursors: `connection.queries`, `execute_wrapper` and `assertNumQueries` don't see them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.models import Expression, Field, QuerySet
from django.db.models.sql import InsertQuery, UpdateQuery

from foundation.database.engine import pipeline
from foundation.database.engine.pipeline import Prepared

Rows = list[tuple[Any, ...]]


class Slot(Expression):
    """The place of a value that is given when the statement runs. Django sees an expression of this field."""

    def __init__(self, name: str, output_field: Field[Any, Any]) -> None:
        super().__init__(output_field=output_field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return "%s", [self]


def number(name: str) -> Slot:
    """Return a slot for a whole number."""
    return Slot(name, models.BigIntegerField())


def text(name: str) -> Slot:
    """Return a slot for a text."""
    return Slot(name, models.TextField())


# A prepared statement with the values for it.
Call = tuple[Prepared, list[Any]]


class Compiled:
    """A statement that Django compiles at its first use. Call it with the values of its slots.

    `build` returns its SQL, and what stands at each %s: a slot, or a value that is always the same.
    """

    def __init__(self, build: Callable[[], tuple[str, Sequence[Any]]]) -> None:
        self._build = build

    def __call__(self, **values: Any) -> Call:
        prepared, places = self._compiled
        return prepared, [values[place.name] if isinstance(place, Slot) else place for place in places]

    @cached_property
    def _compiled(self) -> tuple[Prepared, Sequence[Any]]:
        built, places = self._build()
        parts = built.split("%s")
        assert len(parts) == len(places) + 1, "each %s is the place of a value"
        numbered = [f"{part}${number}" for number, part in enumerate(parts[:-1], start=1)]
        return Prepared.of("".join([*numbered, parts[-1]])), places


def select(build: Callable[[], QuerySet[Any, Any]]) -> Compiled:
    """Return a compiled SELECT. `build` returns a queryset of `values_list`."""
    return Compiled(lambda: build().query.get_compiler(connection=connection).as_sql())


def must_find(build: Callable[[], QuerySet[Any, Any]]) -> Compiled:
    """Return a compiled SELECT that fails with a division by zero if the queryset has no row.

    PostgreSQL then skips the statements that were sent after it.
    """

    def built() -> tuple[str, Sequence[Any]]:
        sql, places = build().query.get_compiler(connection=connection).as_sql()
        return f"SELECT 1 / count(*) FROM ({sql}) AS found", places  # noqa: S608 (compiled by Django)

    return Compiled(built)


def written(sql: str) -> Compiled:
    """Return a statement that is written in SQL. A value's place is its name, as in `%(user_id)s`."""
    places = [Slot(name, models.Field()) for name in re.findall(r"%\((\w+)\)s", sql)]
    return Compiled(lambda: (re.sub(r"%\(\w+\)s", "%s", sql), places))


def update(build: Callable[[], QuerySet[Any]], *, returning: Sequence[str], **changes: Any) -> Compiled:
    """Return a compiled UPDATE of the rows of a queryset. It returns these columns of each changed row."""

    def built() -> tuple[str, Sequence[Any]]:
        rows = build()
        query: Any = rows.query.chain(UpdateQuery)
        query.add_update_values(changes)
        sql, places = query.get_compiler(connection=connection).as_sql()
        return f"{sql} RETURNING {_columns(rows.model, returning)}", places

    return Compiled(built)


def insert(model: type[models.Model], *, returning: Sequence[str], **values: Any) -> Compiled:
    """Return a compiled INSERT of one row. A field without a value gets its default of the database.

    It returns these columns of the new row.
    """

    def built() -> tuple[str, Sequence[Any]]:
        query = InsertQuery(model)
        fields = [field for field in model._meta.concrete_fields if field.attname in values]
        row = model(**{field.attname: values[field.attname] for field in fields})
        query.insert_values(fields, [row], raw=True)
        ((sql, places),) = query.get_compiler(connection=connection).as_sql()
        return f"{sql} RETURNING {_columns(model, returning)}" if returning else sql, places

    return Compiled(built)


def run(*calls: Call, commit: bool = False) -> list[Rows]:
    """Send statements to PostgreSQL in one go, in the caller's atomic block.

    Return the rows of each SELECT and of each statement that returns columns, in their order. The first
    error is raised, as Django's exception; PostgreSQL then runs none of the later statements. With `commit`,
    these are the last statements of the block: if the block is the outermost one, its COMMIT goes with them.
    So the locks of the transaction do not wait until Python leaves the block.
    """
    database = connections[DEFAULT_DB_ALIAS]
    assert database.in_atomic_block, "statements of a charge belong to one transaction"
    # The list has an item for each block inside the outermost one.
    ends = commit and not database.savepoint_ids
    with database.wrap_database_errors:
        return pipeline.run(database.connection, calls, commit=ends)


def _columns(model: type[models.Model], names: Sequence[str]) -> str:
    quoted = connection.ops.quote_name
    columns = {field.attname: str(field.column) for field in model._meta.concrete_fields}
    return ", ".join(quoted(columns[name]) for name in names)
