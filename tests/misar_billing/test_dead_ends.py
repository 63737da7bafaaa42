"""No page is a dead end: each link on each page leads every kind of visitor to a page that they may see.

The pages are asked for as each visitor, refusals and errors included. Each link on them is followed.
"""

import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts import api_keys
from accounts.models import User
from accounts.signing_in import sessions
from tests.codes import code_of
from tests.factories import StaffFactory, UserFactory, enter
from tests.html import link, words
from tests.monetization.records import place, subscribe, tip

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
ERRORS = range(400, 600)

# --- Visitors -------------------------------------------------------------------------------------------


def anonymous() -> Client:
    return Client()


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def user() -> Client:
    return signed_in(UserFactory.create(misar_id="usr_visitor"))


def creator() -> Client:
    creator = UserFactory.create(misar_id="usr_creator")
    tip(creator, email="rosa@example.com", stripe_payment_id="pi_1")
    subscribe(creator)
    place(creator)
    api_keys.issue(owner=creator, name="Newsletter")
    return signed_in(creator)


def closed() -> Client:
    """A user whose account was closed while they were signed in."""
    client = user()
    User.objects.filter(pk="usr_visitor").update(is_active=False)
    return client


def newcomer() -> Client:
    """A staff member without a second factor."""
    return signed_in(StaffFactory.create(misar_id="staff:new", with_second_factor=False))


def staff(role: str = "", **fields: Any) -> Client:
    client = Client()
    member = StaffFactory.create(misar_id=f"staff:{role or 'root'}", **fields)
    member.groups.set(Group.objects.filter(name=role))
    member.set_password(PASSWORD)
    member.save()
    enter(client, member)
    return client


def ended() -> Client:
    """A user whose session is over."""
    client = user()
    session = client.session
    session[sessions.SIGNED_IN_AT] = 0.0
    session.save()
    return client


VISITORS: dict[str, Callable[[], Client]] = {
    "anonymous": anonymous,
    "user": user,
    "creator": creator,
    "closed": closed,
    "ended": ended,
    "staff without a second factor": newcomer,
    "staff without a role": lambda: staff("none", is_superuser=False),
    "support": lambda: staff("support", is_superuser=False),
    "billing": lambda: staff("billing", is_superuser=False),
    "admin": lambda: staff("admin", is_superuser=False),
    "superuser": staff,
}

# --- Pages ----------------------------------------------------------------------------------------------

OPENED = (
    *(
        "/",
        "/wallet",
        "/wallet/statements",
        "/wallet/statements/1999-01",
        "/wallet?returnTo=https://misar.io/",
    ),
    *("/dashboard", "/dashboard/sponsors", "/dashboard/subscriptions", "/dashboard/tips", "/dashboard/keys"),
    *("/dashboard/sponsors/add", "/dashboard/tips/unknown", "/dashboard/subscriptions/unknown"),
    *("/account", "/account/second-factor", "/account/recovery-codes", "/account/recovery-codes/new"),
    *("/account/password", "/account/code", "/sign-in", "/sign-in/staff", "/sign-in/code", "/sign-in/closed"),
    *("/sign-in?next=/admin/", "/sign-in/staff?next=/account", "/sign-out", "/sign-out?next=/admin/"),
    *("/signed-out", "/nowhere", "/sign-in/misar/callback", "/sign-in/misar/callback?error=access_denied"),
    *("/admin/", "/admin/find/", "/admin/find/unknown/", "/admin/nowhere/", "/admin/user/usr_5Fvisitor/"),
    *(
        "/admin/login/",
        "/admin/login/?next=/admin/wallet/entry/",
        "/admin/logout/",
        "/admin/password_change/",
    ),
    *("/admin/wallet/entry/", "/admin/wallet/entry/nope/change/", "/admin/accounts/servicekey/add/"),
    *("/admin/wallet/wallet/usr_5Fvisitor/adjust/", "/admin/accounts/user/?nonsense=1"),
)
# Addresses of forms, opened as after a sign-in, and pages to which a form is sent.
WRONG_METHODS = (
    *(("GET", each) for each in ("/wallet/top-up", "/sign-in/misar", "/dashboard/tips/unknown/message")),
    *(("POST", each) for each in ("/signed-out", "/wallet/statements", "/dashboard", "/wallet", "/sign-in")),
    *(("DELETE", each) for each in ("/wallet", "/account", "/nowhere", "/sign-in/closed")),
)
FORMS = ("/account", "/wallet/top-up", "/sign-out", "/sign-in/staff", "/sign-in/misar", "/admin/find/")


def pages(client: Client, settings: Any) -> Iterator[tuple[str, Any]]:
    """Each page, and its answer after all redirects. The pages that end the session come last."""
    for address in OPENED:
        yield address, client.get(address, follow=True)
    for method, address in WRONG_METHODS:
        send = getattr(client, method.lower())
        yield f"{method} {address}", send(address, follow=True)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    for address in FORMS:
        yield f"{address} without a token", strict.post(address, follow=True)
    yield "a wrong host", client.get("/nowhere", SERVER_NAME="elsewhere.example")
    yield (
        "too many fields",
        client.post("/account", {f"f{number}": "1" for number in range(1100)}, follow=True),
    )
    client.raise_request_exception = False
    yield "a crash", client.get("/crash", follow=True)
    if client.get("/admin/", follow=True).status_code == 200:
        yield "a crash in the back-office", client.get("/admin/crash/", follow=True)
    settings.SSO_ISSUER = "http://127.0.0.1:9"
    yield "a sign-in without the issuer", client.post("/sign-in/misar", follow=True)
    settings.SIGN_INS_PER_MINUTE = 0
    yield "too many sign-ins", client.post("/sign-in/misar", follow=True)
    settings.TOP_UPS_PER_MINUTE = 0
    yield "too many top-ups", client.post("/wallet/top-up", {"amount": "5", "key": "k" * 32}, follow=True)
    for _ in range(6):
        answer = client.post("/sign-in/staff", {"login": "staff:guessed", "password": "wrong"}, follow=True)
    yield "too many passwords", answer


def path_of(answer: Any) -> str:
    """The address of the page that was shown in the end."""
    return urlsplit(answer.request["PATH_INFO"]).path


def links_of(answer: Any) -> Iterator[str]:
    """The addresses of the links on a page, on this site."""
    here = answer.request["PATH_INFO"]
    for href in re.findall(r'<a\b[^>]*?\bhref="([^"]*)"', answer.text):
        address = unescape(href)
        if not address.startswith("#") and not urlsplit(address).scheme:
            yield urljoin(here, address)


def dead_ends(client: Client, answer: Any, known: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a page: no link at all, or a link that leads to an error or back to a refusal."""
    if "text/html" not in answer.headers.get("Content-Type", ""):
        yield f"is no page: {answer.status_code} {answer.headers.get('Content-Type')}"
        return
    addresses = list(dict.fromkeys(links_of(answer)))
    if not addresses:
        yield "has no link"
    for address in addresses:
        if address not in known:
            page = client.get(address, follow=True)
            known[address] = (page.status_code, path_of(page))
        status, path = known[address]
        if status != 200:
            yield f"links to {address}, which is {status}"
        if (
            answer.status_code in ERRORS
            and path == path_of(answer)
            and answer.request["REQUEST_METHOD"] == "GET"
        ):
            yield f"links to itself by {address}"


@pytest.mark.parametrize("visitor", VISITORS)
def test_every_link_leads_to_a_page_that_the_visitor_may_see(visitor, settings):
    settings.ROOT_URLCONF = "tests.misar_billing.crash_urls"
    settings.ALLOWED_HOSTS = ["testserver"]
    UserFactory.create(misar_id="usr_other")
    client = VISITORS[visitor]()
    known: dict[str, Any] = {}
    wrong, statuses = [], set()
    for name, answer in pages(client, settings):
        statuses.add(answer.status_code)
        wrong += [f"{name} ({path_of(answer)}) {each}" for each in dead_ends(client, answer, known)]
    assert not wrong, "\n".join(wrong)
    # Staff without a second factor are led to its set-up before most pages can refuse them anything.
    assert statuses >= ({200, 400, 403} if "second factor" in visitor else {200, 400, 403, 405, 429, 500})


# --- Staff land on the back-office ----------------------------------------------------------------------


def land(client: Client, sign_in: str, **more: str) -> str:
    """Sign in with a password, as the form on this page does, and return where the sign-in ends."""
    page = client.get(sign_in, follow=True)
    (going_to,) = re.findall(r'name="next" value="([^"]*)"', page.text)
    form = {"login": "ada", "password": PASSWORD, "next": unescape(going_to)} | more
    client.post("/sign-in/staff", form)
    return client.post("/sign-in/code", {"code": code_of()}).headers["Location"]


@pytest.fixture
def ada(db):
    ada = StaffFactory.create(misar_id="staff:ada")
    ada.set_password(PASSWORD)
    ada.save()
    return ada


@pytest.mark.parametrize(
    ("sign_in", "landing"),
    [
        ("/sign-in/staff", "/admin/"),
        ("/sign-in/staff?next=/admin/wallet/entry/", "/admin/wallet/entry/"),
        ("/admin/wallet/entry/", "/admin/wallet/entry/"),
        ("/sign-in/staff?next=/account", "/account"),
        ("/sign-in/staff?next=/wallet/statements", "/wallet/statements"),
        # The page for all visitors puts its own default there.
        ("/sign-in/staff?next=/wallet", "/admin/"),
        ("/sign-in/staff?next=https://evil.example/", "/admin/"),
        ("/sign-in/staff?next=//evil.example/", "/admin/"),
        ("/sign-in/staff?next=javascript:alert(1)", "/admin/"),
    ],
)
def test_staff_land_on_the_back_office_or_on_the_page_they_asked_for(client, ada, sign_in, landing):
    assert land(client, sign_in) == landing


def test_staff_who_follow_the_link_on_the_sign_in_page_land_on_the_back_office(client, ada):
    for start in ("/", "/sign-in", "/wallet"):
        page = client.get(start, follow=True)
        assert 'value="/admin/"' in client.get(link(page, "Sign in with a password")).text


@pytest.mark.parametrize("given", [{}, {"next": ""}, {"next": "https://evil.example/"}])
def test_a_form_that_names_no_page_leads_staff_to_the_back_office(client, ada, given):
    client.post("/sign-in/staff", {"login": "ada", "password": PASSWORD} | given)
    assert client.post("/sign-in/code", {"code": code_of()}).headers["Location"] == "/admin/"
    assert client.get("/sign-in/staff").headers["Location"] == "/admin/"


def test_users_still_land_on_their_wallet(client):
    client.force_login(UserFactory.create())
    assert client.get("/sign-in").headers["Location"] == "/wallet"
    assert client.get("/sign-in/staff").headers["Location"] == "/wallet"


def test_a_staff_member_whose_access_was_taken_away_is_told_so(client, ada):
    User.objects.update(is_staff=False)
    answer = client.post(
        "/sign-in/staff", {"login": "ada", "password": PASSWORD, "next": "/admin/"}, follow=True
    )
    answer = client.post("/sign-in/code", {"code": code_of()}, follow=True)
    assert answer.status_code == 403
    assert link(answer, "To your wallet") == "/wallet"


# --- A user in the back-office --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["/admin/", "/admin/wallet/entry/?q=1", "/admin/find/", "/admin/nowhere/"]
)
def test_a_user_in_the_back_office_reads_who_is_signed_in_and_goes_on(client, address):
    client.force_login(UserFactory.create(misar_id="usr_1", name="Ada <b>"))
    answer = client.get(address, follow=True)
    assert answer.status_code == 403
    assert "You are signed in as Ada <b>." in words(answer)
    assert link(answer, "To your wallet") == "/wallet"
    assert client.get(link(answer, "To your wallet")).status_code == 200
    again = link(answer, "Sign in as another user")
    assert client.get(again).status_code == 200
    sign_in = client.post(again, follow=True)
    assert sign_in.request["PATH_INFO"] == "/sign-in/staff"
    assert f'name="next" value="{address}"' in sign_in.text
    assert "_auth_user_id" not in client.session


def test_a_role_without_a_permission_is_led_to_the_back_office(db):
    client = staff("support", is_superuser=False)
    answer = client.get("/admin/accounts/servicekey/add/")
    assert answer.status_code == 403
    assert "You are signed in as Test User." in words(answer)
    assert link(answer, "To the back-office") == "/admin/"


@pytest.mark.parametrize(
    "given", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "", "\\\\evil.example"]
)
def test_a_sign_out_leads_to_no_other_site(client, given):
    client.force_login(UserFactory.create())
    answer = client.post(f"/sign-out?next={given}")
    assert answer.headers["Location"] == "/signed-out"


def test_a_visitor_who_is_signed_out_is_not_asked_to_sign_out(client, db):
    assert client.get("/sign-out").headers["Location"] == "/signed-out"


def test_the_admins_own_sign_out_address_never_says_signed_out_before_it_is_true(db):
    client = staff()
    assert "Sign out?" in client.get("/admin/logout/", follow=True).text
    assert "_auth_user_id" in client.session


# --- Closed accounts ------------------------------------------------------------------------------------


def test_the_page_of_a_closed_account_leads_to_the_sign_in(client, ada):
    User.objects.update(is_active=False)
    answer = client.post("/sign-in/staff", {"login": "ada", "password": PASSWORD}, follow=True)
    assert answer.status_code == 403
    assert "To your wallet" not in answer.text
    assert client.get(link(answer, "Sign in with another account")).status_code == 200


def test_a_user_with_an_open_account_does_not_read_that_it_is_closed(client):
    client.force_login(UserFactory.create())
    assert client.get("/sign-in/closed").headers["Location"] == "/wallet"


# --- Wrong methods --------------------------------------------------------------------------------------


def test_the_address_of_a_form_has_a_page_in_words(client):
    client.force_login(UserFactory.create())
    answer = client.get("/sign-in/misar")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert "cannot be opened like this" in answer.text
    assert client.delete("/io/wallet/balance").json() == {"error": "Method not allowed"}
