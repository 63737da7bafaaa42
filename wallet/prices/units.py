"""What one unit of a feature is, in users' words: a price is for one article, or for 1,000 emails.

The count of a charge is in units of its rate. Users count emails, so pages multiply.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef

from wallet.prices.models import Rate, RateChange

# A number of a thing, as staff write it in the unit of a rate: 1000 emails, 1,000 emails.
SEVERAL = re.compile(r"([1-9][0-9]{0,2}(?:,[0-9]{3}){1,3}|[1-9][0-9]{0,11}) +(\S.*)")


@dataclass(frozen=True)
class Feature:
    """A feature on users' pages. One unit of it is `size` things, and `things` is their name.

    `things` is "" if a unit is one thing, or if the size of the unit has changed. Then no count of things
    would be right for all charges, so pages show units.
    """

    label: str
    size: int = 1
    things: str = ""

    @property
    def priced_label(self) -> str:
        """Its label where a table has its price: "Send emails (per 1,000)"."""
        return f"{self.label} (per {self.size:,})" if self.things else self.label

    def count_of(self, units: int) -> str:
        """These units in the words of a user: "3,000 emails", or only the number if a unit is one thing."""
        return f"{units * self.size:,}{' ' if self.things else ''}{self.things}"

    def times(self, units: int | None) -> str:
        """The label, with the count of things if it is more than one: "Send emails × 3,000"."""
        count = (units or 1) * self.size
        return f"{self.label} × {count:,}" if count > 1 else self.label


def features(names: Iterable[str] | None = None) -> dict[str, Feature]:
    """Return these features, or all, if the rate table has them. Rates that are not active are included."""
    units = RateChange.objects.filter(feature=OuterRef("feature")).order_by().values("unit").distinct()
    rates = Rate.objects.annotate(units=ArraySubquery(units))
    if names is not None:
        rates = rates.filter(feature__in=set(names))
    return {rate.feature: _of_rate(rate.label, {rate.unit, *rate.units}) for rate in rates}


def _of_rate(label: str, units: set[str]) -> Feature:
    """Return a feature whose rate had these units since it was made."""
    described_by_all = {described(label, unit) for unit in units}
    return described_by_all.pop() if len(described_by_all) == 1 else Feature(label)


def described(label: str, unit: str) -> Feature:
    """Return a feature with this label, one unit of which is `unit`.

    >>> described("Send an email", "1000 emails")
    Feature(label='Send emails', size=1000, things='emails')
    >>> described("Generate an article", "article")
    Feature(label='Generate an article', size=1, things='')
    """
    size, things = _parts(unit)
    if size == 1:
        return Feature(label)
    one = re.escape(things.removesuffix("s"))
    return Feature(re.sub(rf"\ban? {one}\b", lambda _: things, label, count=1), size, things)


def in_words(unit: str) -> str:
    """Return the unit of a rate with commas in its number.

    >>> in_words("1000 emails"), in_words("article")
    ('1,000 emails', 'article')
    """
    size, things = _parts(unit)
    return f"{size:,} {things}" if size > 1 else unit


def _parts(unit: str) -> tuple[int, str]:
    several = SEVERAL.fullmatch(unit.strip())
    return (int(several[1].replace(",", "")), several[2]) if several else (1, unit)
