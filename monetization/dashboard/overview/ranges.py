"""The period that the overview shows, from its address: one of the ranges, or days that the creator chose."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django import forms

from accounts.models import User
from foundation.calendar import day_of
from foundation.words import count, day_words
from monetization.dashboard.fields import day_field
from monetization.figures import periods
from monetization.figures.periods import CHOSEN_DAYS_MAX, FIRST_DAY, Period


class ChosenDays(forms.Form):
    """The first and the last day of a range, both included, in UTC."""

    def __init__(self, given: Mapping[str, str], *, today: date) -> None:
        days = {name: given[name].strip() for name in self.base_fields if given.get(name, "").strip()}
        super().__init__(days or None, auto_id="range_%s")
        self.today = today
        for field in self.fields.values():
            field.widget.attrs |= {"min": FIRST_DAY.isoformat(), "max": today.isoformat(), "class": "input"}

    @property
    def days(self) -> dict[str, str]:
        """The parameters of the address for these days."""
        return {name: day.isoformat() for name, day in self.cleaned_data.items()}

    def clean(self) -> dict[str, Any]:
        """Refuse days in the future, a last day before the first, and more days than CHOSEN_DAYS_MAX."""
        data = super().clean() or self.cleaned_data
        first_day, last_day = data.get("from"), data.get("to")
        for name, day in list(data.items()):
            if not FIRST_DAY <= day <= self.today:
                self.add_error(name, f"Enter a day from {day_words(FIRST_DAY)} to today.")
        if first_day and last_day:
            if last_day < first_day:
                self.add_error("to", "The last day comes before the first.")
            elif (days := (last_day - first_day).days + 1) > CHOSEN_DAYS_MAX:
                self.add_error("to", f"Choose at most two years. These are {count(days, 'day')}.")
        return data


# `from` is a keyword of Python, so the class cannot declare that field as an attribute.
ChosenDays.base_fields = {
    "from": day_field("First day", "Enter the first day too."),
    "to": day_field("Last day", "Enter the last day too."),
}


def period_of(creator: User, given: Mapping[str, str], *, at: datetime) -> tuple[Period, ChosenDays]:
    """Return the period that the address names, and the form of the chosen days.

    If the days are not valid, the period is that of the range, and the form has the errors.
    """
    form = ChosenDays(given, today=day_of(at))
    if form.is_valid():
        return periods.between(form.cleaned_data["from"], form.cleaned_data["to"]), form
    period = periods.period_of(creator, given.get("range", ""), at=at)
    form.initial = {"from": period.first_day, "to": period.last_day}
    return period, form
