"""What all rows of a list come to.

Only lists of few rows are summed (change_list.py), so this needs no index.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from django.db import models
from django.db.models import Count, Sum

from foundation import money, words


class Totals:
    """Words for the totals of a query."""

    def of(self, rows: models.QuerySet[Any]) -> Sequence[str]:
        raise NotImplementedError


class Amounts(Totals):
    """The sums of fields with amounts, in the currency of each row or in US dollars.

    `fields` gives the field of each word, such as "net": "net_cents". Currencies are never added up.
    """

    def __init__(self, fields: Mapping[str, str], *, in_dollars: bool = False) -> None:
        self.fields, self.in_dollars = fields, in_dollars

    def of(self, rows: models.QuerySet[Any]) -> Sequence[str]:
        sums = {field: Sum(field) for field in self.fields.values()}
        if self.in_dollars:
            return [self._in_words(money.dollars, rows.order_by().aggregate(**_named(sums)))]
        by_currency = rows.order_by().values("currency").annotate(**_named(sums)).order_by("currency")
        return [self._in_words(partial(money.amount, code=row["currency"]), row) for row in by_currency]

    def _in_words(self, amount: Callable[[int], str], sums: Mapping[str, Any]) -> str:
        return ", ".join(f"{amount(sums[f'{field}_sum'] or 0)} {word}" for word, field in self.fields.items())


class Credits(Totals):
    """The sum of a field with credits, and a word for it."""

    def __init__(self, field: str, word: str) -> None:
        self.field, self.word = field, word

    def of(self, rows: models.QuerySet[Any]) -> Sequence[str]:
        return [f"{money.credits(_sum(rows, self.field))} {self.word}"]


class Numbers(Totals):
    """The sum of a field with numbers of things."""

    def __init__(self, field: str, thing: str, things: str = "") -> None:
        self.field, self.thing, self.things = field, thing, things

    def of(self, rows: models.QuerySet[Any]) -> Sequence[str]:
        return [words.count(_sum(rows, self.field), self.thing, self.things)]


class States(Totals):
    """How many rows are in each state."""

    def __init__(self, field: str) -> None:
        self.field = field

    def of(self, rows: models.QuerySet[Any]) -> Sequence[str]:
        names = dict(rows.model._meta.get_field(self.field).flatchoices)
        numbers = dict(rows.order_by().values_list(self.field).annotate(rows=Count("pk")))
        return [
            f"{money.plain(numbers[value])} {str(name).lower()}"
            for value, name in names.items()
            if value in numbers
        ]


def _sum(rows: models.QuerySet[Any], field: str) -> int:
    return rows.order_by().aggregate(total=Sum(field))["total"] or 0


def _named(sums: Mapping[str, Sum]) -> dict[str, Sum]:
    return {f"{field}_sum": total for field, total in sums.items()}
