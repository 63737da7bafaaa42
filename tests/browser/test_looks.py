"""Every page at two widths, light and dark: axe-core finds nothing serious, and nothing is too wide."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import ServiceKey
from demo.made_up_past import clock_at
from tests.wallet import by_hand
from tests.wallet.granted import grant, set_budget
from tests.wallet.held import hold
from wallet.books import ledger
from wallet.charges import deductions

LOOKS = [("desktop", "light"), ("phone", "dark")]
USER = "usr_demo"


@pytest.fixture(params=LOOKS, ids=lambda look: " ".join(look))
def ada(request, open_browser):
    size, scheme = request.param
    return open_browser(size=size, scheme=scheme)


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
    for product in ("blog", "product-<script>alert(1)</script>"):
        hold(USER, 3, product=product)
    grant(USER, 10, reason="<script>alert(1)</script>")
    grant(USER, 20, product="", reason="Sorry for the outage")
    hold(USER, 3)
    for credits, product in ((10**9, ""), (0, "blog")):
        set_budget(credits, USER, product=product)
    set_budget(5, USER, set_by="product", product="product-<script>alert(1)</script>", period="month")
    ledger.set_frozen(USER, frozen=True)


def look_at(person, path):
    """Open a page, check its size once, and run axe-core."""
    person.visits(path)
    person.is_never_stopped_by_the_page()


def test_pages_before_signing_in(ada):
    for path in ("/sign-in", "/sign-in/staff", "/signed-out"):
        look_at(ada, path)


def test_pages_of_a_user_with_a_history(ada, history):
    ada.comes_signed_in()
    month = timezone.now().strftime("%Y-%m")
    for path in (
        *("/wallet", "/wallet?range=12m", "/wallet?kind=charges&product=nothing", "/wallet?kind=charges"),
        *("/wallet?wallet_topup=success", "/wallet/statements", f"/wallet/statements/{month}"),
        *("/account", "/sign-out", "/wallet?returnTo=https://www.misar.blog/"),
        *("/wallet/budget", "/wallet/budget?of=blog&period=day"),
    ):
        look_at(ada, path)


def test_pages_of_a_new_user(ada):
    ada.comes_signed_in()
    for path in ("/wallet", "/wallet/statements", "/account"):
        look_at(ada, path)


def test_the_page_of_the_api(ada):
    ada.goes_to("/docs")
    assert ada.sees("Universal Wallet")
    # Swagger puts a copy button inside the button that opens an operation.
    ada.is_never_stopped_by_the_page(but_for="nested-interactive")
