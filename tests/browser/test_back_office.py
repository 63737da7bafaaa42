"""A day of support, billing and an admin: what each role does, and what it cannot do."""

import re

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group
from playwright.sync_api import expect

from accounts import api_keys
from accounts.models import Act, ApiKey, Plan, ServiceKey, User
from monetization import tips
from monetization.models import Refund
from tests.factories import StaffFactory, UserFactory
from wallet.books.funds import available_of
from wallet.models import Entry, Rate, StripeEvent

LOOKS = [("desktop", "light"), ("phone", "dark")]
# Addresses that the roles may not open.
OF_BILLING = (
    "wallet/wallet/usr_5Fada/adjust/",
    "wallet/entry/{charge}/give-back/",
    "wallet/stripeevent/{event}/replay/",
    "wallet/stripeevent/{event}/resolve/",
    "monetization/tip/{tip}/refund/",
    "accounts/user/usr_5Fada/plan/",
    "accounts/apikey/{key}/revoke/",
    "wallet/entry/csv/",
)
OF_ADMINS = (
    "accounts/servicekey/add/",
    "wallet/rate/add/",
    "wallet/rate/{rate}/set/",
    "accounts/plan/add/",
    "accounts/plan/pro/set/",
    "accounts/user/usr_5Fada/access/",
    "monetization/tip/{tip}/erase-reader/",
)
OF_NO_ROLE = (
    "wallet/entry/add/",
    "wallet/entry/{charge}/delete/",
    "wallet/wallet/add/",
    "wallet/wallet/usr_5Fada/delete/",
    "monetization/tip/{tip}/delete/",
    "accounts/act/add/",
)


@pytest.fixture
def case(site, give, as_service, article_rate, deliver, checkout_event):
    """Ada, who has an address, 25 credits less a charge, a tip and a key; and a payment that was parked."""
    ada = UserFactory.create(misar_id="usr_ada", name="Ada Lovelace", email="ada@example.com")
    give("usr_ada", 25)
    as_service.deduct("usr_ada", count=3, idempotency_key="article:1")
    deliver(checkout_event(session_id="cs_test_euros", user_id="usr_ada", currency="eur"))
    key, _ = api_keys.issue(owner=ada, name="Blog", scopes=["monetization"])
    tip = tips.record(creator=ada, amount_cents=500, email="fan@example.com", stripe_payment_id="pi_tip")
    return {
        "charge": quote(Entry.objects.get(kind="deduct").pk),
        "event": quote(StripeEvent.objects.get(state="parked").pk),
        "tip": quote(tip.pk),
        "key": quote(key.pk),
        "rate": Rate.objects.get(feature=article_rate).pk,
    }


@pytest.fixture
def comes_in(open_browser):
    """A staff member with a role, signed in, in a browser of their own."""

    def come(role, **options):
        member = StaffFactory.create(misar_id=f"staff:{role}", name=role.title(), is_superuser=False)
        member.groups.add(Group.objects.get(name=role))
        person = open_browser(**options)
        person.comes_signed_in(member, going_to="/admin/")
        return person

    return come


def finds(person, sought):
    """Use the find box in the header."""
    box = person.page.locator("#find_anywhere")
    box.fill(sought)
    with person.page.expect_navigation():
        box.press("Enter")


# These say first what will change.
PREVIEWED = {
    *("Adjust the balance", "Give this charge back", "Record a refund", "Resolve it by hand"),
    *("Change this price", "Change this plan", "Change plan", "Change access", "Freeze this wallet"),
}


def does(person, act, reason, **fields):
    """Fill in the form of a staff action and send it; twice, if it shows first what it will change."""
    for label, value in fields.items():
        named = re.compile(
            f"^{label.replace('_', ' ')}( |$)", re.IGNORECASE
        )  # Some labels end with "optional".
        person.types(named, value)
    person.types("Reason", reason)
    person.is_never_stopped_by_the_page()
    if act in PREVIEWED:
        person.presses("Preview")
        person.page.locator("#preview, [role=alert]").wait_for()
    if act not in PREVIEWED or person.page.locator("#preview").count():
        person.presses(act)


def status_of(person, path, form=None):
    """The status of a request for an address, or of a hand-made form with the session's own token."""
    address = person.site.at(f"/admin/{path}")
    if form is None:
        return person.page.request.get(address, max_redirects=0).status
    token = person.page.locator("input[name=csrfmiddlewaretoken]").first.input_value()
    sent = {"csrfmiddlewaretoken": token, **form}
    return person.page.request.post(address, form=sent, max_redirects=0).status


def is_shut_out_of(person, paths, case):
    """Each address and each form is refused, and no credit moves."""
    before = available_of("usr_ada")
    form = {"credits": "5", "reason": "by hand", "key": "k" * 32, "plan": "max", "amount_cents": "100"}
    for path in (path.format(**case) for path in paths):
        assert status_of(person, path) == 403, path
        assert status_of(person, path, form) == 403, path
    assert available_of("usr_ada") == before
    assert not Act.objects.exists()


# --- Support looks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("look", LOOKS, ids=" ".join)
def test_support_answers_where_the_credits_went(comes_in, case, look):
    size, scheme = look
    sue = comes_in("support", size=size, scheme=scheme)
    sue.is_never_stopped_by_the_page()
    for sought in ("ada@example.com", "ada lo", "Usr_ad"):
        finds(sue, sought)
        sue.page.wait_for_url(re.compile(r"/admin/find/[\w-]+/$"))
        assert sue.sees("begins with" if sought != "ada@example.com" else "Matched by")
    sue.is_never_stopped_by_the_page()
    results = sue.page.url
    sue.page.reload()
    sue.page.get_by_role("link", name="usr_ada", exact=True).click()
    assert sue.is_at("/admin/user/usr_5Fada/")
    sue.page.go_back()
    sue.page.wait_for_url(results)
    assert sue.sees("Misar ID begins with")
    sue.page.go_forward()
    assert sue.sees("Ada Lovelace")
    text = sue.page.locator("main").inner_text()
    assert re.search(r"22\s*credits", text)
    assert "Generate an article" in text
    sue.is_never_stopped_by_the_page()
    finds(sue, "article:1")
    assert sue.sees("Idempotency key")
    for sought in ("txn_", "cs_test_euros", "pi_tip"):
        finds(sue, Entry.objects.get(kind="deduct").pk if sought == "txn_" else sought)
        sue.page.wait_for_url(re.compile(r"/admin/user/usr_5Fada/\?found="))
    finds(sue, "usr_unknown")
    assert sue.sees('No match for "usr_unknown".')
    sue.is_never_stopped_by_the_page()


def test_support_sees_no_action_and_reaches_none(comes_in, case):
    sue = comes_in("support")
    for path in (
        "user/usr_5Fada/",
        "wallet/wallet/usr_5Fada/change/",
        "wallet/entry/{charge}/change/",
        "wallet/stripeevent/{event}/change/",
        "monetization/tip/{tip}/change/",
        "accounts/user/usr_5Fada/change/",
        "accounts/servicekey/",
        "wallet/rate/",
        "wallet/entry/",
    ):
        sue.goes_to(f"/admin/{path.format(**case)}")
        labels = sue.page.locator("main a, main button").all_inner_texts()
        acts = re.compile(
            r"^(adjust the|give .* back|handle it|resolve|refund|record a|change|revoke |add )", re.I
        )
        assert [label for label in labels if acts.match(label)] == []
        expect(sue.page.get_by_text("CSV")).to_have_count(0)
    is_shut_out_of(sue, (*OF_BILLING, *OF_ADMINS, *OF_NO_ROLE), case)


def test_a_page_without_permission_says_so(comes_in, case):
    sue = comes_in("support", may_fail=True)
    sue.goes_to("/admin/wallet/wallet/usr_5Fada/adjust/")
    expect(sue.page.locator("h1")).to_have_count(1)
    expect(sue.page.get_by_label("Credits")).to_have_count(0)


def test_support_cannot_send_again_what_billing_sent(comes_in, case):
    bea = comes_in("billing")
    bea.goes_to("/admin/wallet/wallet/usr_5Fada/adjust/")
    with bea.page.expect_request(lambda request: request.method == "POST") as sent:
        does(bea, "Adjust the balance", "She was charged twice", credits="3")
    form = dict(sent.value.post_data_json)
    assert bea.sees("She was charged twice")
    sue = comes_in("support")
    form.pop("csrfmiddlewaretoken")
    assert status_of(sue, "wallet/wallet/usr_5Fada/adjust/", form) == 403
    assert available_of("usr_ada") == 25


# --- Billing acts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("look", LOOKS, ids=" ".join)
def test_billing_adjusts_within_the_limit_and_once(comes_in, case, look):
    size, scheme = look
    bea = comes_in("billing", size=size, scheme=scheme)
    finds(bea, "usr_ada")
    bea.follows("Adjust the balance")
    does(bea, "Adjust the balance", "Goodwill", credits="1001")
    assert bea.sees("Nothing has changed.")
    bea.is_never_stopped_by_the_page()
    bea.types("Credits", "8")
    bea.presses("Preview")
    assert bea.sees("22 →to 30 credits")
    bea.is_never_stopped_by_the_page()
    with bea.page.expect_request(lambda request: request.method == "POST") as sent:
        bea.presses("Adjust the balance")
    assert bea.is_at("/admin/user/usr_5Fada/")
    assert bea.sees("Goodwill")
    assert available_of("usr_ada") == 30
    # The same form again: from the page that the browser kept, and hand-made.
    form = dict(sent.value.post_data_json)
    form.pop("csrfmiddlewaretoken")
    assert status_of(bea, "wallet/wallet/usr_5Fada/adjust/", form) == 302
    assert status_of(bea, "wallet/wallet/usr_5Fada/adjust/", form | {"credits": "9"}) == 200
    assert status_of(bea, "accounts/user/usr_5Fada/plan/", form | {"plan": "max"}) == 200
    assert available_of("usr_ada") == 30
    assert User.objects.get(pk="usr_ada").plan_id == "free"
    assert Act.objects.count() == 1


def test_billing_settles_what_a_user_complains_of(comes_in, case):
    bea = comes_in("billing")
    bea.goes_to(f"/admin/wallet/entry/{case['charge']}/change/")
    bea.follows("Give this charge back")
    does(bea, "Give this charge back", "The article was never made", credits="2")
    assert bea.sees("The article was never made")
    assert available_of("usr_ada") == 24

    bea.goes_to("/admin/")
    bea.page.locator(".attention a").first.click()  # The parked payment is the first thing to see.
    bea.page.wait_for_url(re.compile("state__exact=parked"))
    bea.is_never_stopped_by_the_page()
    bea.goes_to(f"/admin/wallet/stripeevent/{case['event']}/change/")
    bea.follows("Handle it again")
    does(bea, "Handle it again", "Perhaps it works now")
    assert bea.sees("US dollars")
    bea.follows("Resolve it by hand")
    does(bea, "Resolve it by hand", "25 euros were 27 dollars that day", credits_to_give="27")
    assert bea.sees("Resolved by hand")
    assert available_of("usr_ada") == 51

    bea.goes_to(f"/admin/monetization/tip/{case['tip']}/change/")
    bea.follows("Record a refund")
    does(bea, "Record a refund", "Sent twice", amount="200")
    assert Refund.objects.get().amount_cents == 200

    bea.goes_to(f"/admin/accounts/apikey/{case['key']}/change/")
    bea.follows("Revoke this key")
    does(bea, "Revoke this key", "It stood in a public repository")
    assert ApiKey.objects.get().revoked_at

    bea.goes_to("/admin/user/usr_5Fada/")
    bea.follows("Change plan")
    bea.page.get_by_label("Plan", exact=True).select_option("pro")
    does(bea, "Change plan", "She asked for it")
    assert bea.is_at("/admin/user/usr_5Fada/")
    for reason in ("never made", "25 euros", "Sent twice", "public repository", "She asked for it"):
        assert bea.sees(reason)
    bea.is_never_stopped_by_the_page()


def test_billing_configures_nothing(comes_in, case):
    bea = comes_in("billing")
    for path in ("wallet/rate/", "accounts/plan/", "accounts/servicekey/", "accounts/user/usr_5Fada/change/"):
        bea.goes_to(f"/admin/{path}")
        expect(
            bea.page.get_by_role("link", name=re.compile("^(Add|Change access|Change this)"))
        ).to_have_count(0)
    is_shut_out_of(bea, (*OF_ADMINS, *OF_NO_ROLE), case)


def test_billing_needs_no_script(comes_in, case):
    bea = comes_in("billing", javascript=False)
    finds(bea, "ada@example.com")
    bea.follows("usr_ada")
    bea.follows("Adjust the balance")
    bea.types("Credits", "-2")
    bea.types("Reason", "Given twice")
    bea.presses("Preview")
    bea.presses("Adjust the balance")
    assert bea.is_at("/admin/user/usr_5Fada/")
    assert available_of("usr_ada") == 20


# --- An admin configures ------------------------------------------------------------------------------


def test_an_admin_sets_prices_plans_keys_and_access(comes_in, case):
    adam = comes_in("admin")
    adam.goes_to(f"/admin/wallet/rate/{case['rate']}/change/")
    adam.follows("Change this price")
    does(adam, "Change this price", "The model got dearer", credits="2")
    assert adam.sees("from 1 credit to 2 credits")

    adam.goes_to("/admin/accounts/plan/pro/change/")
    adam.follows("Change this plan")
    does(adam, "Change this plan", "As agreed", platform_fee="350")
    assert Plan.objects.get(pk="pro").fee_bps == 350

    adam.goes_to("/admin/accounts/servicekey/add/")
    does(adam, "Add a service key", "A new product", product="reach")
    secret = adam.page.locator("main code").first.inner_text()
    assert secret.startswith("wsk_")
    adam.is_never_stopped_by_the_page()
    adam.goes_to("/admin/accounts/servicekey/")
    assert secret not in adam.page.content()
    assert ServiceKey.objects.get(product="reach").feature_prefixes == []

    adam.goes_to("/admin/user/usr_5Fada/")
    adam.follows("Change access")
    adam.page.get_by_label("May enter the back-office").check()
    adam.page.get_by_label("support").check()
    does(adam, "Change access", "A new colleague")
    assert list(User.objects.get(pk="usr_ada").groups.values_list("name", flat=True)) == ["support"]
    is_kept_from_themselves(adam)


def is_kept_from_themselves(adam):
    """An admin cannot change their own access."""
    form = {"reason": "me", "key": "k" * 32, "is_active": "on", "is_staff": "on"}
    status_of(adam, "accounts/user/staff_3Aadmin/access/", form)
    member = User.objects.get(pk="staff:admin")
    assert [group.name for group in member.groups.all()] == ["admin"]
    assert not member.is_superuser


def test_an_admin_changes_no_history(comes_in, case):
    adam = comes_in("admin")
    is_shut_out_of(adam, OF_NO_ROLE, case)
