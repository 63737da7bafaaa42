"""No page scrolls sideways, at any width of the window, with the longest values that the service accepts.

The addresses come from the URL configuration, so a new page is measured without being named here. A route
with a new kind of argument fails the test until this module knows a row for it.
"""

import re

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.urls import get_resolver, is_valid_path, resolve

from accounts.mail import outbox
from accounts.models import OutgoingMail
from backoffice.actions.pages import ActingAdmin
from foundation.http.envelope import is_api_path
from tests.browser.longest import PRODUCT, LongestValues, address, long
from tests.codes import code_of
from tests.factories import StaffFactory
from tests.reflow import WIDTHS, WIDTHS_OF_THE_BACK_OFFICE, Measurer, routes

# Routes without a page of their own: a browser only posts to them, or the answer is a file or JSON.
NO_PAGES = {
    "dashboard/tips/<slug:pk>/message",
    "schema",
    "sign-in/misar",
    "wallet/budget/remove",
    "wallet/top-up/state",
}
# In the back-office: files, redirects to the row's page, pages that no staff may open, and Django's own.
NO_PAGES_OF_ROWS = re.compile(r"/(csv|history|delete|autocomplete|jsi18n|log(in|out))/?$")
ROWS_MAX = 100
PASSWORD = "correct horse battery"


@pytest.fixture
def longest(site, settings, deliver, checkout_event):
    settings.MAIL_ENABLED = True
    return LongestValues(deliver, checkout_event)


@pytest.fixture
def measurer(open_browser, site):
    """A person whose browser measures what it opens. Without a user, the person is not signed in."""

    def come(user=None, widths=WIDTHS):
        person = open_browser(may_fail=True)
        if user:
            person.comes_signed_in(user)
        return Measurer(person.page, site.address, widths)

    return come


def pages(*, of_the_back_office):
    """The routes of the pages of the back-office, or of all other pages."""
    found = {route for route in routes(get_resolver().url_patterns) if not is_api_path(f"/{route}")}
    own = {route for route in found - NO_PAGES if route.startswith("admin/") == of_the_back_office}
    return {
        route
        for route in own
        if not ("(" in route or route.endswith(".csv") or NO_PAGES_OF_ROWS.search(route))
    }


def opened(*measurers):
    """The routes that were opened, or that redirected to a page that was."""
    paths = {path for each in measurers for path in each.seen}
    # A checkout leads to Stripe's page.
    return {resolve(path).route for path in paths if is_valid_path(path)}


# --- Users and creators -----------------------------------------------------------------------------------


def test_no_page_of_a_user_or_creator_is_too_wide(measurer, longest):
    visitor, dana, grace = measurer(), measurer(longest.creator), measurer()
    for path in ("/sign-in/closed", "/signed-out", "/sign-in"):
        visitor.opens(path)
    visitor.sends("main form")  # It leads to the sandbox's page.
    visitor.opens("/docs")
    visitor.page.locator(".opblock-summary-control").first.click()
    visitor.page.locator(".opblock-body").wait_for()
    visitor.measures("with an operation open")
    opens_the_pages_of_a_creator(dana, longest)
    sends_the_forms_of_a_creator(dana, longest)
    signs_in_as_staff(grace)
    for path in ("/wallet", f"/wallet/statements/{longest.now:%Y-%m}", "/dashboard", "/dashboard/tips"):
        dana.prints(path)
    problems = visitor.problems + dana.problems + grace.problems
    assert not problems, "\n".join(problems)
    assert pages(of_the_back_office=False) - opened(visitor, dana, grace) == set()


def opens_the_pages_of_a_creator(dana, longest):
    for route in sorted(pages(of_the_back_office=False)):
        path = re.sub(r"^(dashboard/)(\w+)/<\w+:pk>", lambda found: found[1] + longest.keys[found[2]], route)
        dana.opens("/" + path.replace("<month:month>", f"{longest.now:%Y-%m}"))
    for name, row in longest.joined.items():
        dana.opens(f"/dashboard/{name}s/{row.pk}", again=True)
    for path in (
        "/wallet?range=12m&from=x&to=x",
        f"/wallet?product={long(40)}&returnTo=https://{long(60)}.misar.io/",
        "/dashboard?range=12m&currency=KWD",
        f"/dashboard/sponsors/add?copy={longest.sponsor.pk}",
        "/dashboard/tips?refunded=yes",
    ):
        dana.opens(path, again=True)


def sends_the_forms_of_a_creator(dana, longest):
    """Send each form with errors, and with long values that are accepted."""
    dana.opens("/wallet")
    dana.sends(".top-up", own_amount=long(100))
    dana.opens(f"/wallet/budget?of={PRODUCT}&period=month", again=True)
    dana.opens("/wallet/budget", again=True)
    dana.sends("main form", credits=long(16))
    dana.opens("/dashboard/sponsors/add")
    dana.sends("form[data-once]")
    dana.sends("form[data-once]", sponsor_name=long(201), target_url=long(3000), price=long(200))
    dana.opens(f"/dashboard/{longest.keys['subscriptions']}")
    dana.sends("main form", price=long(100))
    dana.sends("main form", price="999999.99", plan=f"Monthly {long(92)}")
    dana.opens(f"/dashboard/{longest.keys['tips']}")
    dana.sends("form[action$=refund]", amount=long(100))
    dana.sends("form[action$=refund]", amount="1.00")
    dana.opens("/dashboard/tips")
    dana.sends(".list-filters", search=address())
    dana.sends(".list-filters", search="another@example.com")
    dana.opens("/dashboard/keys")
    dana.sends("form[data-once]")
    dana.page.locator("[name=scopes][value=monetization]").check()
    dana.sends("form[data-once]", name=long(80))


def signs_in_as_staff(grace):
    """Through the pages of the password, of the second factor and of its recovery codes."""
    member = StaffFactory.create(misar_id=f"staff:{long(100)}", name=long(200), with_second_factor=False)
    member.set_password(PASSWORD)
    member.save()
    grace.opens("/sign-in/staff?next=/account/second-factor")
    grace.sends("main form", login=long(200), password="wrong")
    grace.sends("main form", login=member.pk, password=PASSWORD)
    grace.sends("main form", code="000000")
    secret = grace.page.locator("details code").inner_text()
    grace.sends("main form", code=code_of(secret, good_for=10))
    for path in ("/account/recovery-codes/new", "/account/password", "/account/code", "/sign-out"):
        grace.opens(path)
    grace.sends("main form")
    grace.opens("/sign-in/staff")
    grace.sends("main form", login=member.pk, password=PASSWORD)


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
