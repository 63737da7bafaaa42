"""Filters that every template knows."""

from datetime import UTC, datetime

import pytest
from django.template import Context, Template

NOON = datetime(2026, 12, 1, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ('{{ 799|amount:"USD" }}', "7.99 USD"),
        ('{{ 1500|figure:"JPY" }}', "1,500"),
        ("{{ 2500|dollars }}", "$25.00"),
        ("{{ 1|credits }}, {{ 1250|credits }}", "1 credit, 1,250 credits"),
        ("{{ minus|plain }} {{ minus|signed }} {{ 40|signed }}", "−40 −40 +40"),
        ("{{ noon|moment }}", "1 Dec 2026, 12:30"),
        ("{{ noon|day }}", "1 Dec 2026"),
        ("{{ name|short:6 }}", "A &lt; B…"),
        ('{{ 2|count:"tip" }}', "2 tips"),
        ('{% tag "Active" "good" %}', '<span class="tag tag-good">Active</span>'),
        ("{% tag name %}", '<span class="tag">A &lt; Bcdef</span>'),
    ],
)
def test_a_filter_writes_what_people_read(source, shown):
    context = Context({"noon": NOON, "minus": -40, "name": "A < Bcdef"})
    assert Template(source).render(context).strip() == shown
