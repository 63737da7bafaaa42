"""Holds and frozen wallets in the back-office: lists, pages, what staff may do, and how they are found."""

import secrets
from datetime import timedelta

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone
from django.utils.dateformat import format as in_words

from accounts.models import Act
from foundation.text import middle_cut
from tests.backoffice.credits.pages import USER, facts, file_of, found, page, send, sent, user_page
from tests.backoffice.members import member_of, signed_in
from tests.factories import StaffFactory, UserFactory, enter
from tests.html import table, words
from tests.wallet.held import capture, charge_of, hold, void
from tests.wallet.holding import past_hold
from tests.wallet.reversed import take_back
from wallet.books import ledger
from wallet.books.funds import available_of, funds_of
from wallet.charges import lapsing
from wallet.models import Entry, Hold, Wallet

pytestmark = pytest.mark.django_db

LIST = reverse("admin:wallet_hold_changelist")
FROZEN = "Charges and holds are refused. Captures of open holds, refunds and top-ups go on."


def signed_in_as(role):
    return signed_in(member_of(role))


@pytest.fixture
def ada(give, article_rate):
    """A user with 42 credits."""
    give(USER, 42)
    return UserFactory.create(misar_id=USER, email="ada@example.com")


@pytest.fixture
def each(ada):
    """A hold in each state, the newest last."""
    return {
        "expired": past_hold(USER, credits=2),
        "open": hold(USER, 3),
        "captured": capture(hold(USER, 5), 4),
        "voided": void(hold(USER, 6)),
    }


# --- The list -----------------------------------------------------------------------------------------


def test_the_list_shows_each_hold_newest_first(staff, each):
    newest_first = [each[state].pk for state in ("voided", "captured", "open", "expired")]
    assert found(staff, LIST) == newest_first
    answer = staff.get(LIST)
    shown = words(answer)
    assert '<span class="tag tag-accent">Open</span>' in answer.text
    assert '<span class="tag">Voided</span>' in answer.text
    for text in (
        "Voided blog.article.generate × 6 MisarBlog 6",
        "Open blog.article.generate × 3 MisarBlog 3",
    ):
        assert text in shown


def test_an_overdue_hold_is_shown_as_expired_before_and_after_it_is_tidied(staff, ada):
    late = past_hold(USER, credits=2)
    until = in_words(late.expires_at, "j M Y, H:i:s")
    for expected in ([late.pk], []):
        assert found(staff, LIST, state="expired") == [late.pk]
        assert found(staff, LIST, state="open") == []
        assert found(staff, LIST, state="overdue") == expected
        shown = facts(staff.get(page("hold_change", late.pk)))
        assert (shown["State"], shown["Ended at"]) == ("Expired", f"{until} UTC")
        lapsing.lapse_wallet(USER)


@pytest.mark.parametrize("state", Hold.State.values)
def test_the_list_is_filtered_by_state_and_product(staff, each, state):
    assert found(staff, LIST, state=state) == [each[state].pk]
    assert found(staff, LIST, state=state, product__exact="mail") == []


def test_an_unknown_state_is_refused(staff, each):
    answer = staff.get(LIST, {"state": "lost"})
    assert answer.status_code == 302
    assert answer["Location"].endswith("?e=1")


def test_a_user_an_id_and_a_key_find_their_holds(staff, each, give):
    give("usr_other", 5)
    other = hold("usr_other", 1, key="chat:77")
    for term, expected in (
        (USER, 4),
        (each["open"].pk, 1),
        ("chat:77", 1),
        (other.pk.upper(), 0),
        ("chat", 0),
        ("usr_unknown", 0),
    ):
        assert len(found(staff, LIST, q=term)) == expected, term
    answer = staff.post(LIST, {"sought": "ada@example.com"})
    assert answer["Location"] == f"{LIST}?q={USER}"
    assert found(staff, LIST, wallet__user_id__exact="usr_other") == [other.pk]


def test_the_file_has_the_state_that_the_list_shows(staff, each):
    rows = file_of(staff, "hold", q=USER)
    assert [row["state_now"] for row in rows] == ["voided", "captured", "open", "expired"]
    assert [bool(row["ended_now"]) for row in rows] == [True, True, False, True]
    assert "state" not in rows[0]


# --- Pages of rows --------------------------------------------------------------------------------------


def test_the_page_of_a_captured_hold_leads_to_its_charge(staff, each):
    captured = each["captured"]
    charge = charge_of(captured)
    answer = staff.get(page("hold_change", captured.pk))
    shown = facts(answer)
    assert (shown["State"], shown["Captured"], shown["Charge"]) == (
        "Captured",
        "4 of 5, for 4 credits",
        middle_cut(charge.pk),
    )
    assert (shown["Product"], shown["Made by"]) == ("MisarBlog", "MisarBlog, key wsk_test")
    assert page("entry_change", charge.pk) in answer.text


def test_the_page_of_the_charge_leads_to_the_hold_and_says_what_was_held(staff, each):
    captured = each["captured"]
    charge = charge_of(captured)
    answer = staff.get(page("entry_change", charge.pk))
    shown = facts(answer)
    assert shown["Captured hold"] == middle_cut(captured.pk)
    assert shown["Held"].split(" ")[0] == "3"
    assert page("hold_change", captured.pk) in answer.text
    topup = Entry.objects.get(kind="topup")
    assert facts(staff.get(page("entry_change", topup.pk)))["Captured hold"] == "–"


def test_the_list_and_the_page_of_a_wallet_show_what_is_available(staff, each):
    assert available_of(USER) == 35
    answer = staff.get(reverse("admin:wallet_wallet_changelist"))
    assert f"{USER} 35 credits 3 credits 38 credits No" in words(answer)
    shown = facts(staff.get(page("wallet_change", USER)))
    of_funds = [shown[label] for label in ("Available", "Held", "Balance", "Frozen")]
    assert of_funds == ["35 credits", "3 credits", "38 credits", "No"]


def test_wallets_are_filtered_by_what_is_held(staff, each, give, article_rate):
    give("usr_plain", 5)
    give("usr_overdue", 5)
    past_hold("usr_overdue", credits=5)
    topup = give("usr_over", 5)
    hold("usr_over", 5)
    take_back(topup, 2)
    url = reverse("admin:wallet_wallet_changelist")

    def shown(**query):
        return [row.pk for row in staff.get(url, query).context["cl"].result_list]

    assert shown(funds="held") == [USER, "usr_over"]
    assert shown(funds="overheld") == ["usr_over"]
    ledger.set_frozen("usr_plain", frozen=True)
    assert shown(frozen__exact="1") == ["usr_plain"]
    assert staff.get(url, {"funds": "lost"})["Location"].endswith("?e=1")


# --- The user's page ------------------------------------------------------------------------------------


def test_a_users_page_shows_what_is_available_and_the_open_holds(staff, each):
    answer = user_page(staff)
    shown = words(answer)
    assert "Available 35 credits Balance 38, 3 held" in shown
    until = in_words(each["open"].expires_at, "j M Y, H:i")
    assert table(answer, "holds") == [
        [
            "Generate an article × 3 blog.article.generate",
            "MisarBlog",
            until,
            "3",
            f"Void this hold , {each['open'].pk}",
        ]
    ]
    assert f"{LIST}?wallet__user_id__exact={USER}" in answer.text


def test_a_users_page_without_open_holds(staff, ada):
    assert "Open holds" not in words(user_page(staff))
    past_hold(USER, credits=2)
    shown = words(user_page(staff))
    assert "Balance 42 credits" in shown
    assert "No hold is open." in shown


def test_more_held_than_there_is_is_explained(staff, ada):
    hold(USER, 40)
    take_back(Entry.objects.get(kind="topup"), 10)
    shown = words(user_page(staff))
    assert "Available −8 credits Balance 32, 40 held" in shown
    assert "More is held than the user has, because a payment was refunded or disputed." in shown
    assert "Owes" not in shown


def test_staff_who_may_not_view_holds_see_none(client, ada):
    hold(USER, 3)
    member = StaffFactory.create(is_superuser=False)
    support = Group.objects.get(name="support")
    member.user_permissions.set(support.permissions.exclude(codename="view_hold"))
    enter(client, member)
    assert "Open holds" not in words(user_page(client))
    assert client.get(LIST).status_code == 403


# --- Void -----------------------------------------------------------------------------------------------


def test_billing_voids_a_hold_of_any_product(ada):
    billing = signed_in_as("billing")
    held = hold(USER, 5, product="mail")
    form = {"key": secrets.token_hex(8)}
    for _ in range(2):
        assert send(billing, page("hold_void", held.pk), **form).status_code == 302
    held.refresh_from_db()
    assert (held.state, available_of(USER)) == ("voided", 42)
    [act] = Act.objects.all()
    assert (act.about, act.model, act.told) == (
        USER,
        "wallet.hold",
        "Voided a hold of MisarMail: 5 credits can be spent again.",
    )
    assert "Ada asked for it." in words(user_page(billing))
    assert "Ada asked for it." in words(billing.get(page("hold_change", held.pk)))


def test_the_form_says_what_voiding_means(ada):
    held = hold(USER, 5)
    shown = words(signed_in_as("billing").get(page("hold_void", held.pk)))
    assert "State Open Held 5 credits For blog.article.generate × 5, by MisarBlog" in shown
    assert "The product can no longer charge for this work: its capture is refused." in shown


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        (capture, "This hold was captured"),
        (void, "This hold was voided already"),
    ],
)
def test_a_hold_that_ended_meanwhile_is_not_voided(ada, end, sentence):
    billing = signed_in_as("billing")
    held = hold(USER, 5)
    end(held)
    assert billing.get(page("hold_void", held.pk)).status_code == 404
    assert sentence in words(send(billing, page("hold_void", held.pk)))
    assert not Act.objects.exists()


def test_an_overdue_hold_is_not_voided(ada):
    billing = signed_in_as("billing")
    held = past_hold(USER, credits=5)
    assert billing.get(page("hold_void", held.pk)).status_code == 404
    assert "This hold has expired already" in words(send(billing, page("hold_void", held.pk)))
    assert not Act.objects.exists()


def test_support_looks_and_does_not_void_or_freeze(ada):
    support = signed_in_as("support")
    held = hold(USER, 5)
    shown = words(user_page(support))
    assert "Open holds" in shown
    assert "Void this hold" not in shown
    assert "Freeze" not in shown
    for address in (page("hold_void", held.pk), page("wallet_freeze", USER), page("wallet_go-on", USER)):
        assert support.get(address).status_code == 403
        assert send(support, address).status_code == 403
    assert funds_of(USER).held == 5


# --- Freeze -----------------------------------------------------------------------------------------------


def test_billing_freezes_a_wallet_and_lets_it_go_on(ada, as_service):
    billing = signed_in_as("billing")
    held = hold(USER, 5)
    shown = words(billing.get(page("wallet_freeze", USER)))
    assert f"This works at once. {FROZEN}" in shown
    assert send(billing, page("wallet_freeze", USER)).status_code == 302
    refused = as_service.deduct(USER).json()
    assert (refused["allowed"], refused["limitedBy"]) == (False, {"limit": "frozen"})
    capture(held, 1)
    shown = words(user_page(billing))
    assert "Frozen" in shown
    assert f"This wallet is frozen. {FROZEN}" in shown
    assert f"Freeze this wallet Frozen. {FROZEN} Ada asked for it." in shown
    assert billing.get(page("wallet_freeze", USER)).status_code == 404
    assert send(billing, page("wallet_go-on", USER)).status_code == 302
    assert as_service.deduct(USER).json()["allowed"] is True
    assert [act.told for act in Act.objects.order_by("pk")] == [
        f"Frozen. {FROZEN}",
        "No longer frozen. Products can charge it again.",
    ]


def test_a_colleague_froze_it_meanwhile(ada):
    billing = signed_in_as("billing")
    ledger.set_frozen(USER, frozen=True)
    assert "This wallet is frozen already" in words(send(billing, page("wallet_freeze", USER)))
    ledger.set_frozen(USER, frozen=False)
    assert "This wallet is not frozen" in words(send(billing, page("wallet_go-on", USER)))
    assert not Act.objects.exists()


def test_a_wallet_that_is_not_there_cannot_be_frozen(staff):
    assert staff.get(page("wallet_freeze", "usr_unknown")).status_code == 404
    assert not Wallet.objects.exists()


# --- Adjustments ------------------------------------------------------------------------------------------


def test_an_adjustment_removes_only_what_is_available(staff, ada):
    hold(USER, 40)
    address = page("wallet_adjust", USER)
    shown = words(staff.get(address))
    assert "Available 2 credits Held 40 credits Balance 42 credits" in shown
    assert "Only available credits can be removed." in shown
    assert "2 credits available; 3 are required" in words(send(staff, address, credits="-3"))
    assert send(staff, address, credits="-2").status_code == 302
    assert available_of(USER) == 0


# --- Find -------------------------------------------------------------------------------------------------


def test_the_id_of_a_hold_opens_its_users_page_and_marks_it(staff, ada):
    held = hold(USER, 5)
    address = sent(staff, f" {held.pk} ")
    assert address == f"{reverse('admin:one_user', args=[quote(USER)])}?found={held.pk}"
    answer = staff.get(address)
    shown = words(answer)
    assert f"Found by hold {held.pk} : Open, 5 credits for blog.article.generate × 5" in shown
    assert '<tr class="found">' in answer.text
    assert shown.count("Void this hold") == 1


def test_a_hold_that_has_ended_is_found_by_its_id(staff, ada):
    held = past_hold(USER, credits=5)
    shown = words(staff.get(sent(staff, held.pk)))
    assert f"Found by hold {held.pk} : Expired, 5 credits" in shown
    assert "Void this hold" not in shown


def test_a_key_finds_the_hold_and_the_charge_that_products_used_it_for(staff, ada, as_service):
    held = hold(USER, 5, key="chat:77")
    as_service.deduct(USER, idempotency_key="chat:77")
    rows = table(staff.get(sent(staff, "chat:77")), "matches")
    assert {row[0].split(" ")[0] for row in rows} == {"Entry", "Hold"}
    assert held.pk in " ".join(row[0] for row in rows)
    assert {row[1] for row in rows} == {"Idempotency key chat:77"}


def test_a_hold_is_no_new_users_misar_id(staff):
    answer = staff.get(sent(staff, "hold_01m8m9ensmpbpypxsfa3g6cvys"))
    assert "open their page" not in words(answer)


def test_todays_holds_are_listed(staff, each):
    assert len(found(staff, LIST, when="today")) in (
        3,
        4,
    )  # Around midnight, the first one was made yesterday.
    assert found(staff, LIST, created_at__gte=(timezone.now() + timedelta(hours=1)).isoformat()) == []
