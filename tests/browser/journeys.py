"""The ways through the pages of users and creators, for tests whose browsers measure different things.

The addresses come from the URL configuration, so a new page is opened without being named here. A route with
a new kind of argument fails the tests until `path_of` knows a row for it.
"""

import re
from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.urls import get_resolver, is_valid_path, resolve

from accounts.models import User
from backoffice.actions.pages import ActingAdmin
from foundation.http.envelope import is_api_path
from tests.browser.longest import PRODUCT, LongestValues, address, long
from tests.codes import code_of
from tests.factories import StaffFactory
from tests.reflow import Measurer, routes
from wallet.models import TopUp

# Routes without a page of their own: a browser only posts to them, or the answer is a file or JSON.
NO_PAGES = {
    "dashboard/sponsors/<slug:pk>/cancel",
    "dashboard/sponsors/free-slots/revoke",
    "dashboard/sponsors/restore/<str:token>",
    "dashboard/dismiss",
    "dashboard/tips/<slug:pk>/message",
    "schema",
    "sign-in/misar",
    "wallet/budget/remove",
    "wallet/top-up/state",
}
# In the back-office: files, redirects to the row's page, pages that no staff may open, and Django's own.
NO_PAGES_OF_ROWS = re.compile(r"/(csv|history|delete|autocomplete|jsi18n|log(in|out))/?$")
PASSWORD = "correct horse battery"
ROWS_MAX = 100  # Of a list: an action applies to one of its newest rows.


def pages(*, of_the_back_office: bool) -> set[str]:
    """The routes of the pages of the back-office, or of all other pages."""
    found = {route for route in routes(get_resolver().url_patterns) if not is_api_path(f"/{route}")}
    own = {route for route in found - NO_PAGES if route.startswith("admin/") == of_the_back_office}
    return {
        route
        for route in own
        if not ("(" in route or route.endswith((".csv", ".pdf")) or NO_PAGES_OF_ROWS.search(route))
    }


def opened(*browsers: Measurer) -> set[str]:
    """The routes that were opened, or that redirected to a page that was."""
    paths = {path for each in browsers for path in each.seen}
    # A checkout leads to Stripe's page.
    return {resolve(path).route for path in paths if is_valid_path(path)}


def path_of(route: str, longest: LongestValues) -> str:
    """The address of a route: of the row with the longest values, if it names one."""
    path = re.sub(r"^(dashboard/)(\w+)/<\w+:pk>", lambda found: found[1] + longest.keys[found[2]], route)
    paid = TopUp.objects.of_user(longest.creator.pk).filter(state=TopUp.State.PAID).latest("pk")
    rows = {
        "month:month": f"{longest.now:%Y-%m}",
        "slug:number": paid.pk,
        "str:entry_id": paid.entry_id,
        "str:token": longest.free_slots_token,
    }
    return "/" + re.sub("<(.+?)>", lambda found: str(rows[found[1]]), path)


# --- The back-office -------------------------------------------------------------------------------------


def paths_of_the_back_office(longest: LongestValues) -> list[str]:
    """The addresses of all pages of the back-office but the results of a search, and of a year's overview."""
    routes_of_pages = sorted(pages(of_the_back_office=True))
    return [*(path for route in routes_of_pages for path in paths_of(route, longest)), "/admin/?range=12m"]


def paths_of(route: str, longest: LongestValues) -> list[str]:
    """The addresses of a route: of the newest row of a list; for an action, the newest that it applies to."""
    if route == "admin/find/<str:token>/":
        return []  # A search leads there.
    if "<month:month>" in route:
        return [f"/{route}".replace("<month:month>", f"{longest.now:%Y-%m}")]
    if "<path:object_id>" not in route:
        return [f"/{route}"]
    if route == "admin/user/<path:object_id>/":
        return [f"/admin/user/{quote(misar_id)}/" for misar_id in longest.misar_ids]
    _, app, model, _, *rest = route.rstrip("/").split("/")
    rows = row_by_action(app, model, longest.staff)
    action = rest[0] if rest else "change"
    return [f"/{route}".replace("<path:object_id>", quote(str(rows[action].pk)))] if action in rows else []


def row_by_action(app: str, model: str, staff: User) -> dict[str, Any]:
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


# --- The ways ---------------------------------------------------------------------------------------------


def opens_all_pages(browser_of: Callable[..., Measurer], longest: LongestValues) -> list[Measurer]:
    """Open every page as each kind of visitor, send the forms, and return the browsers."""
    visitor, dana, grace = browser_of(), browser_of(longest.creator), browser_of()
    for path in ("/sign-in/closed", "/signed-out", "/sign-in?next=/dashboard", "/nowhere"):
        visitor.opens(path)
    visitor.opens("/docs")
    visitor.opens("/docs/try")
    visitor.page.locator(".opblock-summary-control").first.click()
    visitor.page.locator(".opblock-body").wait_for()
    visitor.measures("with an operation open")
    opens_the_pages_of_a_creator(dana, longest)
    sends_the_forms_of_a_creator(dana, longest)
    signs_in_as_staff(grace)
    missing = pages(of_the_back_office=False) - opened(visitor, dana, grace)
    assert not missing, f"no browser opened {missing}"
    return [visitor, dana, grace]


def opens_the_pages_of_a_creator(browser: Measurer, longest: LongestValues) -> None:
    for route in sorted(pages(of_the_back_office=False)):
        browser.opens(path_of(route, longest))
    for name, row in longest.joined.items():
        browser.opens(f"/dashboard/{name}s/{row.pk}", again=True)
    for path in (
        "/wallet?range=12m&from=x&to=x",
        f"/wallet?product={long(40)}&returnTo=https://{long(60)}.misar.io/",
        "/dashboard?range=12m&currency=KWD",
        f"/dashboard/sponsors/add?copy={longest.sponsor.pk}",
        "/dashboard/tips?refunded=yes",
    ):
        browser.opens(path, again=True)


def sends_the_forms_of_a_creator(browser: Measurer, longest: LongestValues) -> None:
    """Send each form with errors, and with long values that are accepted."""
    browser.opens("/wallet")
    browser.sends(".top-up", own_amount=long(100))
    browser.opens(f"/wallet/budget?of={PRODUCT}&period=month", again=True)
    browser.opens("/wallet/budget", again=True)
    browser.sends("main form", credits=long(16))
    browser.opens("/dashboard/sponsors/add")
    browser.sends("form[data-once]")
    browser.sends("form[data-once]", sponsor_name=long(201), target_url=long(3000), price=long(200))
    browser.opens(f"/dashboard/{longest.keys['subscriptions']}")
    browser.sends("main form", price=long(100))
    browser.sends("main form", price="999999.99", plan=f"Monthly {long(92)}")
    browser.opens(f"/dashboard/{longest.keys['tips']}")
    browser.sends("form[action$=refund]", amount=long(100))
    browser.sends("form[action$=refund]", amount="1.00")
    browser.opens("/dashboard/tips")
    browser.sends(".list-filters", search=address())
    browser.sends(".list-filters", search="another@example.com")
    browser.opens("/dashboard/keys")
    browser.sends("form[data-once]")
    browser.page.locator("[name=scopes][value=monetization]").check()
    browser.sends("form[data-once]", name=long(80))


def signs_in_as_staff(browser: Measurer) -> None:
    """Through the pages of the password, of the second factor and of its recovery codes."""
    member = StaffFactory.create(misar_id=f"staff:{long(100)}", name=long(200), with_second_factor=False)
    member.set_password(PASSWORD)
    member.save()
    browser.opens("/sign-in/staff?next=/account/second-factor")
    browser.sends("main form", login=long(200), password="wrong")
    browser.sends("main form", login=member.pk, password=PASSWORD)
    browser.sends("main form", code="000000")
    secret = browser.page.locator("details code").inner_text()
    browser.sends("main form", code=code_of(secret, good_for=10))
    for path in ("/account/recovery-codes/new", "/account/password", "/account/code", "/sign-out"):
        browser.opens(path)
    browser.sends("main form")
    browser.opens("/sign-in/staff")
    browser.sends("main form", login=member.pk, password=PASSWORD)
