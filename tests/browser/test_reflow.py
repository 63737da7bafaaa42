"""No page scrolls sideways, at any width of the window, with the longest values that the service accepts."""

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote

from accounts.mail import outbox
from accounts.models import OutgoingMail
from backoffice.actions.pages import ActingAdmin
from tests.browser.journeys import opened, opens_all_pages, pages
from tests.browser.longest import address, long
from tests.reflow import WIDTHS, WIDTHS_OF_THE_BACK_OFFICE, Measurer

ROWS_MAX = 100


@pytest.fixture
def measurer(open_browser, site):
    """A person whose browser measures what it opens. Without a user, the person is not signed in."""

    def come(user=None, widths=WIDTHS):
        person = open_browser(may_fail=True)
        if user:
            person.comes_signed_in(user)
        return Measurer(person.page, site.address, widths)

    return come


# --- Users and creators -----------------------------------------------------------------------------------


def test_no_page_of_a_user_or_creator_is_too_wide(measurer, longest):
    visitor, dana, grace = opens_all_pages(measurer, longest)
    visitor.opens("/sign-in", again=True)
    visitor.sends("main form")  # It leads to the sandbox's page.
    for path in ("/wallet", f"/wallet/statements/{longest.now:%Y-%m}", "/dashboard", "/dashboard/tips"):
        dana.prints(path)
    problems = visitor.problems + dana.problems + grace.problems
    assert not problems, "\n".join(problems)


# --- Staff ------------------------------------------------------------------------------------------------


def test_no_page_of_the_back_office_is_too_wide(measurer, longest):
    bea = measurer(longest.staff, WIDTHS_OF_THE_BACK_OFFICE)
    routes_of_pages = pages(of_the_back_office=True)
    for route in sorted(routes_of_pages):
        for path in paths_of(route, longest):
            bea.opens(path)
            if bea.page.locator(".act-form").count():
                bea.sends(".act-form")
    bea.opens(f"/admin/?range=12m&product={long(40)}", again=True)
    for name, row in longest.joined.items():
        bea.opens(f"/admin/monetization/{name}/{row.pk}/change/")
    for sought in (long(300), address(), f"pi_0{long(251)}"):
        bea.opens("/admin/find/")
        bea.sends(".find-large", sought=sought)
    assert not bea.problems, "\n".join(bea.problems)
    assert routes_of_pages - opened(bea) == set()


def paths_of(route, longest):
    """The addresses of a route: of the newest row of a list; for an action, the newest that it applies to."""
    if route == "admin/find/<str:token>/":
        return []  # A search leads there.
    if "<path:object_id>" not in route:
        return [f"/{route}"]
    if route == "admin/user/<path:object_id>/":
        return [f"/admin/user/{quote(misar_id)}/" for misar_id in longest.misar_ids]
    _, app, model, _, *rest = route.rstrip("/").split("/")
    rows = row_by_action(app, model, longest.staff)
    action = rest[0] if rest else "change"
    return [f"/{route}".replace("<path:object_id>", quote(str(rows[action].pk)))] if action in rows else []


def row_by_action(app, model, staff):
    """The newest row of a list that has each page, by the page's name."""
    its_admin = next(
        each
        for each in admin.site._registry.values()
        if (each.opts.app_label, each.opts.model_name) == (app, model)
    )
    rows = list(its_admin.model._default_manager.order_by("-pk")[:ROWS_MAX])
    by_action = {"change": rows[0]}
    if isinstance(its_admin, ActingAdmin):
        for row in rows:
            for action in its_admin.staff_actions_on(row, staff):
                by_action.setdefault(action.name, row)
    return by_action


# --- Mails ------------------------------------------------------------------------------------------------


def test_no_mail_is_too_wide(measurer, longest):
    reader = measurer()
    mails = {mail.kind: mail for mail in OutgoingMail.objects.all()}
    assert mails.keys() == outbox.KINDS.keys()
    for mail in mails.values():
        reader.page.set_content(mail.html)
        reader.measures(mail.kind)
    assert not reader.problems, "\n".join(reader.problems)
