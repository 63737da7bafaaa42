"""Every page of users and creators at two widths, light and dark: axe-core finds nothing serious.

The rule about the size of targets is on. The browser complains about nothing either: no error on the console
and no violation of the content security policy, on any page.
"""

from datetime import timedelta
from itertools import product

import pytest
from django.utils import timezone

from accounts import users
from accounts.models import ServiceKey
from demo.made_up_past import clock_at
from tests.browser.journeys import opens_all_pages, paths_of_the_back_office
from tests.chromium import SIZES
from tests.factories import UserFactory
from tests.reflow import OPEN_ALL, Measurer
from tests.wallet import by_hand
from tests.wallet.granted import grant, set_budget
from tests.wallet.held import hold
from wallet.books import ledger
from wallet.charges import deductions

USER = "usr_demo"
# In the dark scheme only colours differ.
RULES = {"light": [], "dark": ["color-contrast", "link-in-text-block"]}
# Chromium complains about each page that is an error, which some pages of this test are meant to be.
OF_AN_ERROR_PAGE = "the server responded with a status of 4"


class Looker(Measurer):
    """A browser that looks at each page at two widths, light and dark. `problems` names what it finds."""

    def __init__(self, person):
        super().__init__(person.page, person.site.address, [SIZES["desktop"][0]])
        self.person = person
        person.page.on("console", self._complain)

    def _complain(self, message):
        if message.type in ("error", "warning") and OF_AN_ERROR_PAGE not in message.text:
            self.person.complaints.append(f"{message.text} ({message.location.get('url')})")

    def measures(self, what=""):
        if self.page.locator(".swagger-ui").count():
            return  # The page of another program: see test_the_page_of_swagger.
        self.page.evaluate(OPEN_ALL)
        for size, scheme in product(SIZES, RULES):
            width, height = SIZES[size]
            self.page.set_viewport_size({"width": width, "height": height})
            self.page.emulate_media(color_scheme=scheme)
            found = self.person.finds(rules=RULES[scheme])
            if found:
                self.problems.append("\n    ".join([f"{self.path} {what} ({size}, {scheme})", *found]))
        self.page.emulate_media(color_scheme="light")


@pytest.fixture
def looker(open_browser):
    """A person whose browser looks at what it opens. Without a user, the person is not signed in."""

    def come(user=None):
        person = open_browser(may_fail=True)
        if user:
            person.comes_signed_in(user)
        return Looker(person)

    return come


@pytest.fixture
def history(give, article_rate):
    """Some weeks of a user's history, with every kind of text that a user could write, and open holds."""
    began = timezone.now() - timedelta(days=40)
    with clock_at(began):
        give(USER, 500)
    for number in range(60):
        with clock_at(began + timedelta(hours=15 * number)):
            charge = deductions.deduct(
                user_id=USER,
                feature=article_rate,
                count=1 + number % 4,
                service=ServiceKey(product=f"product-{number % 3}-<script>alert(1)</script>", prefix="test"),
            ).entry
    by_hand.give_back(entry=charge, reason="<b>The work failed</b>", key="k", actor="user:staff:1")
    for name in ("blog", "product-<script>alert(1)</script>"):
        hold(USER, 3, product=name)
    grant(USER, 10, reason="<script>alert(1)</script>")
    grant(USER, 20, product="", reason="Sorry for the outage")
    hold(USER, 3)
    for credits, of in ((10**9, ""), (0, "blog")):
        set_budget(credits, USER, product=of)
    set_budget(5, USER, set_by="product", product="product-<script>alert(1)</script>", period="month")
    ledger.set_frozen(USER, frozen=True)


def test_every_page_of_a_user_or_creator(looker, longest):
    problems = [problem for browser in opens_all_pages(looker, longest) for problem in browser.problems]
    assert not problems, "\n".join(problems)


def test_every_page_of_the_back_office(looker, longest):
    """Lists, rows, and the pages that add and act, as the URL configuration has them."""
    bea = looker(longest.staff)
    for path in paths_of_the_back_office(longest):
        bea.opens(path)
    assert not bea.problems, "\n".join(bea.problems)


def test_pages_of_a_user_with_a_history(looker, history):
    dana = looker(users.arrive(misar_id=USER, name="Dana Demo", email="dana@example.com"))
    month = timezone.now().strftime("%Y-%m")
    for path in (
        *("/wallet", "/wallet?range=12m", "/wallet?kind=charges&product=nothing", "/wallet?kind=charges"),
        *("/wallet?wallet_topup=success", "/wallet/statements", f"/wallet/statements/{month}"),
        *("/wallet?returnTo=https://www.misar.blog/", "/wallet/budget", "/wallet/budget?of=blog&period=day"),
    ):
        dana.opens(path, again=True)
        dana.person.weighs(path)
    assert not dana.problems, "\n".join(dana.problems)


def test_pages_of_a_new_user(looker):
    nova = looker(UserFactory.create(misar_id="usr_nova"))
    for path in ("/wallet", "/wallet/statements", "/account", "/dashboard", "/dashboard/keys"):
        nova.opens(path, again=True)
        nova.person.weighs(path)
    assert not nova.problems, "\n".join(nova.problems)


def test_pages_before_signing_in(looker):
    visitor = looker()
    for path in ("/sign-in", "/sign-in/staff", "/signed-out"):
        visitor.opens(path, again=True)
        visitor.person.weighs(path)
    assert not visitor.problems, "\n".join(visitor.problems)


def test_the_page_of_swagger(ada):
    ada.goes_to("/docs/try")
    assert ada.sees("/io/wallet/deduct")
    # Swagger puts a copy button inside the button that opens an operation, and its links are one line high.
    ada.is_never_stopped_by_the_page(but_for=("nested-interactive", "target-size"))
