"""What the tests of the pages of sponsors share: the addresses, and what a browser sends."""

from django.utils import timezone

from foundation.forms import new_key
from tests.html import hidden, words
from tests.monetization.records import days

LIST = "/dashboard/sponsors"
ADD = "/dashboard/sponsors/add"


def fields(**changes):
    """What a browser sends when the form is filled in."""
    first_day = timezone.now().date() + days(3)
    return {
        "sponsor_name": "Acme",
        "position": "header",
        "first_day": f"{first_day}",
        "last_day": f"{first_day + days(6)}",
        "starts_at": "",
        "ends_at": "",
        "target_url": "https://acme.example.com",
        "logo_url": "https://cdn.example.com/a.png",
        "price": "299.00",
        "currency": "USD",
        "key": new_key(),
    } | changes


def edit_of(sponsor):
    return f"/dashboard/sponsors/{sponsor.pk}/edit"


def cancel_of(sponsor):
    return f"/dashboard/sponsors/{sponsor.pk}/cancel"


def seen_by(page, sponsor):
    return {"seen": hidden(page.get(edit_of(sponsor)), "seen")}


def text_after(answer, page):
    """The text of the page that a form redirects to."""
    assert answer.status_code == 302, words(answer)
    return words(page.get(answer["Location"]))
