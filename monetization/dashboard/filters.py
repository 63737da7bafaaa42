"""The base form and the fields that the filters of all lists use."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

from django import forms
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import User
from foundation.text import both_forms
from monetization.figures import sums
from monetization.models import EMAIL_LENGTH

SEARCH, SORT = "search", "sort"


class Order(NamedTuple):
    """An order of a list: how the page names it, and the fields, as `keyset.page_of` requires them."""

    label: str
    fields: tuple[str, ...]


class FilterForm(forms.Form):
    """The filters and the order of a list of a creator's records. An invalid filter is not applied.

    The form shows an error for an invalid value. `conditions` maps the name of a field to a function that
    makes a query condition from the field's cleaned value. `orders` maps the values of `sort` to orders: the
    name of a column, with a minus if the largest or newest row comes first. A list without a valid `sort` has
    the first order.
    """

    model: ClassVar[Any]
    orders: ClassVar[Mapping[str, Order]] = {"-date": Order("Newest first", ("-created_at", "-pk"))}
    conditions: ClassVar[Mapping[str, Callable[[Any], Q]]]
    folded: ClassVar[tuple[str, ...]] = ()  # Fields that the page hides until one of them is used.

    def __init__(self, given: Mapping[str, str], creator: User) -> None:
        super().__init__({}, auto_id="filter_%s")
        if len(self.orders) > 1:
            names = ["", *list(self.orders)[1:]]
            choices = [(name, each.label) for name, each in zip(names, self.orders.values(), strict=True)]
            self.fields[SORT] = forms.ChoiceField(required=False, label="Sort by", choices=choices)
        self.data = {name: text for name in self.fields if (text := given.get(name, "").strip())}
        self.default_order = next(iter(self.orders))
        if self.data.get(SORT) not in self.orders or self.data[SORT] == self.default_order:
            self.data.pop(SORT, None)
        self.creator, self.now = creator, timezone.now()
        self.currencies = sums.currencies_of(creator)
        for name, field in self.fields.items():
            field.widget.attrs["class"] = "input"
            field.error_messages["invalid_choice"] = "There is no such choice. This filter is not applied."
            if name == "currency":
                assert isinstance(field, forms.ChoiceField)
                field.choices = [("", "All currencies"), *((code, code) for code in self.currencies)]
                if len(self.currencies) < 2:  # There is nothing to choose.
                    field.widget = forms.HiddenInput()

    @property
    def mine(self) -> QuerySet[Any]:
        """All records of the creator."""
        records: QuerySet[Any] = self.model.objects.visible_to(self.creator)
        return records

    def records(self) -> QuerySet[Any]:
        """Return the creator's records that match all valid filters."""
        self.is_valid()
        records = self.mine.order_by(*self.orders[self.order].fields)
        for name, condition in self.conditions.items():
            if (value := self.cleaned_data.get(name)) not in (None, ""):
                records = records.filter(condition(value))
        return records

    @property
    def narrowed(self) -> int:
        """The number of filters that were given."""
        return len(self.data.keys() - {SORT})

    @property
    def order(self) -> str:
        """The order of the list, one of `orders`."""
        return self.data.get(SORT, self.default_order)

    @property
    def is_search(self) -> bool:
        """Whether the filters contain a search. The page must then send its next requests by POST."""
        return SEARCH in self.data

    @property
    def in_address(self) -> dict[str, str]:
        """The filters that may be in a URL: all filters except the search."""
        return {name: value for name, value in self.data.items() if name != SEARCH}

    def opens(self) -> bool:
        """Return whether a folded field is used. The page then shows all folded fields."""
        return any(name in self.data for name in self.folded)


def choice_field(label: str, everything: str, choices: Iterable[tuple[str, Any]] = ()) -> forms.ChoiceField:
    return forms.ChoiceField(required=False, label=label, choices=[("", everything), *choices])


def search_field(label: str) -> forms.CharField:
    widget = forms.TextInput(attrs={"type": "search", "autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(required=False, label=label, max_length=EMAIL_LENGTH + 1, widget=widget)


def begins(field: str, text: str) -> Q:
    """Return the condition that a field begins with this text, in upper or lower case."""
    forms_of_text: list[Any] = [(f"{field}__istartswith", form) for form in sorted(both_forms(text))]
    return Q.create(forms_of_text, connector=Q.OR)
