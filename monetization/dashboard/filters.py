"""What the filters of all lists share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.db.models import Q

from monetization.models import EMAIL_LENGTH


def matching(rows: Any, search: str, *, whole: tuple[str, ...], beginning: tuple[str, ...]) -> Any:
    """The rows where a field is what is searched for, or begins with it in any case."""
    if "\0" in search:  # PostgreSQL takes none, so no text holds one.
        return rows.none()
    which = Q()
    for name in whole:
        which |= Q(**{name: search})
    for name in beginning:
        # An address is kept in lower case for this; a name as the reader wrote it.
        which |= (
            Q(reader__startswith=search.lower())
            if name == "reader"
            else Q(**{f"{name}__istartswith": search})
        )
    return rows.filter(which)


class FilterForm(forms.Form):
    """Which rows of a list to see. A value that cannot be read is told and left out."""

    folded: tuple[str, ...] = ()

    def __init__(self, data: Mapping[str, str], *, currencies: Sequence[str] = ()) -> None:
        super().__init__(dict(data), auto_id="filter_%s")
        if "currency" in self.fields:
            self._know_currencies(currencies)
        for field in self.fields.values():
            field.widget.attrs.setdefault("class", "input")
            field.error_messages["invalid_choice"] = "There is nothing like this; it is left out."

    def read(self) -> dict[str, Any]:
        """What could be read of it."""
        self.is_valid()
        return self.cleaned_data

    def plain_fields(self) -> list[forms.BoundField]:
        """The fields that are always seen."""
        return [field for field in self.visible_fields() if field.name not in self.folded]

    def folded_fields(self) -> list[forms.BoundField]:
        """The fields that are folded away until one of them is used."""
        return [field for field in self.visible_fields() if field.name in self.folded]

    def opens(self) -> bool:
        """Whether one of those is used."""
        return any(self.data.get(name) for name in self.folded)

    def _know_currencies(self, currencies: Sequence[str]) -> None:
        field = self.fields["currency"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "All currencies"), *((code, code) for code in currencies)]
        if len(currencies) < 2:  # Nothing to choose.
            field.widget = forms.HiddenInput()


def choice_field(label: str, everything: str, choices: Iterable[tuple[str, Any]]) -> forms.ChoiceField:
    return forms.ChoiceField(required=False, label=label, choices=[("", everything), *choices])


def search_field(label: str) -> forms.CharField:
    widget = forms.TextInput(attrs={"type": "search", "autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(required=False, label=label, max_length=EMAIL_LENGTH + 1, widget=widget)
