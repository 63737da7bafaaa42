"""Grants in the back-office: their list, their pages, what staff may do, and how they are found."""

from datetime import timedelta

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone
from django.utils.dateformat import format as in_words

from accounts.actors import actor_of
from accounts.models import Act
from foundation.text import middle_cut
from tests.backoffice.credits.pages import USER, facts, file_of, found, page, send, sent, user_page
from tests.backoffice.members import member_of, ready, signed_in
from tests.crowd import at_once
from tests.factories import StaffFactory, UserFactory, enter
from tests.html import table, words
from tests.wallet.granted import grant, past_grant, void
from tests.wallet.held import capture, hold
from tests.wallet.reversed import take_back
from wallet.books.funds import available_of, funds_of
from wallet.charges import lapsing
from wallet.grants import granting
from wallet.models import Entry, Lot, Wallet

pytestmark = pytest.mark.django_db

LIST = reverse("admin:wallet_lot_changelist")
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def usual_limits(settings):
    settings.STAFF_CREDITS_A_DAY = {"billing": 100, "admin": 1000}


@pytest.fixture
def ada(article_rate):
    return UserFactory.create(misar_id=USER, email="ada@example.com")


@pytest.fixture
def each(ada):
    """A grant in each state, the newest last."""
    expired = past_grant(USER, 6)
    used = grant(USER, 2, lasts=DAY)
    capture(hold(USER, 2))
    active = grant(USER, 10, product="", lasts=10 * DAY, reason="Sorry")
    voided = grant(USER, 5, product="mail")
    void(voided)
    return {"expired": expired, "used": used, "active": active, "voided": voided}


def asked(number=10, **fields):
    """The fields of the form that grants so many credits until tomorrow."""
    ends = timezone.now() + DAY
    return {
        "credits": str(number),
        "expires_at_0": f"{ends:%Y-%m-%d}",
        "expires_at_1": f"{ends:%H:%M:%S}",
        "shown_reason": "Sorry for the outage",
    } | fields


@pytest.fixture
def billing(db):
    return signed_in(member_of("billing"))


# --- The list -----------------------------------------------------------------------------------------


def test_the_list_shows_each_grant_newest_first(staff, each):
    assert found(staff, LIST) == [each[state].pk for state in ("voided", "active", "used", "expired")]
    answer = staff.get(LIST)
    shown = words(answer)
    assert f"{USER} Active 10 10 " in shown
    assert " staff Sorry " in shown
    assert f"{USER} Voided 5 0 " in shown
    assert '<span class="tag tag-good">Active</span>' in answer.text


@pytest.mark.parametrize("state", Lot.State.values)
def test_the_list_is_filtered_by_state_and_by_who_granted(staff, each, state):
    assert found(staff, LIST, state=state) == [each[state].pk]
    assert found(staff, LIST, state=state, product__exact="reach") == []


def test_grants_of_staff_are_listed_alone(staff, each):
    assert found(staff, LIST, product__exact="-") == [each["active"].pk]
    assert found(staff, LIST, product__exact="mail") == [each["voided"].pk]


def test_grants_that_end_soon(staff, each):
    soon = grant("usr_other", 3, lasts=timedelta(hours=20))
    active = each["active"]
    assert found(staff, LIST, end="24h") == [soon.pk]
    assert found(staff, LIST, end="7d") == [soon.pk]
    assert found(staff, LIST, end="30d") == [soon.pk, active.pk]
    for unknown in ({"end": "never"}, {"state": "lost"}):
        assert staff.get(LIST, unknown)["Location"].endswith("?e=1")


def test_a_grant_is_shown_the_same_before_and_after_its_end_is_written_down(staff, ada):
    late = past_grant(USER, 6)
    ended = in_words(late.expires_at, "j M Y, H:i:s")
    for not_written in ([late.pk], []):
        assert found(staff, LIST, end="late") == not_written
        assert found(staff, LIST, state="expired") == [late.pk]
        shown = facts(staff.get(page("lot_change", late.pk)))
        assert (shown["State"], shown["Left"], shown["Ended unspent"]) == ("Expired", "0", "6")
        assert shown["Expires at"] == f"{ended} UTC"
        assert found_wallet(staff) == ["0 credits", "0 credits"]
        lapsing.lapse_wallet(USER)


def found_wallet(client):
    shown = facts(client.get(page("wallet_change", USER)))
    return [shown["Balance"], shown["Available"]]


def test_the_figures_of_the_list_are_those_of_the_wallet(staff, give, article_rate):
    """The free part of a grant that has ended is gone, and what an open hold set aside of it is not."""
    past_grant(USER, 6)
    voided = grant(USER, 10)
    open_hold = hold(USER, 4)
    void(voided)
    give(USER, 20)
    for _ in range(2):
        now = funds_of(USER)
        assert (now.balance, now.held, now.granted, now.available) == (24, 4, 4, 20)
        [wallet] = staff.get(reverse("admin:wallet_wallet_changelist")).context["cl"].result_list
        assert (wallet.balance_now, wallet.held_now, wallet.granted_now, wallet.available) == (24, 4, 4, 20)
        shown = facts(staff.get(page("wallet_change", USER)))
        assert (shown["Available"], shown["Granted"]) == ("20 credits", "4 credits")
        lapsing.lapse_wallet(USER)
    [row] = staff.get(LIST, {"state": "voided"}).context["cl"].result_list
    assert (row.left_now, row.held_now, row.spent, row.written_off) == (4, 4, 0, 6)
    assert (
        facts(staff.get(page("hold_change", open_hold.pk)))["From grants"] == f"{middle_cut(voided.pk)} (4)"
    )


def test_wallets_are_filtered_by_what_is_granted(staff, give, ada):
    give("usr_plain", 5)
    past_grant("usr_ended", 5)
    grant(USER, 5)
    url = reverse("admin:wallet_wallet_changelist")
    assert [row.pk for row in staff.get(url, {"funds": "granted"}).context["cl"].result_list] == [USER]


def test_a_user_and_an_id_find_their_grants(staff, each):
    other = grant("usr_other", 3)
    for term, expected in ((USER, 4), (each["used"].pk, 1), (other.pk.upper(), 0), ("usr_unknown", 0)):
        assert len(found(staff, LIST, q=term)) == expected, term
    answer = staff.post(LIST, {"sought": "ada@example.com"})
    assert answer["Location"] == f"{LIST}?q={USER}"
    assert found(staff, LIST, wallet__user_id__exact="usr_other") == [other.pk]


def test_the_file_has_the_state_and_the_figures_that_the_list_shows(staff, each):
    rows = file_of(staff, "lot", q=USER)
    figures = ("state_now", "credits", "left_now", "held_now", "spent", "written_off")
    assert [tuple(row[name] for name in figures) for row in rows] == [
        ("voided", "5", "0", "0", "0", "5"),
        ("active", "10", "10", "0", "0", "0"),
        ("used", "2", "0", "0", "2", "0"),
        ("expired", "6", "0", "0", "0", "6"),
    ]
    assert not {"remaining", "held", "expired"} & set(rows[0])


# --- Pages of rows --------------------------------------------------------------------------------------


def test_a_grant_and_its_entries_lead_to_each_other(staff, each):
    used = each["used"]
    charge = Entry.objects.get(kind="capture")
    shown = facts(staff.get(page("lot_change", used.pk)))
    assert shown["Entries"] == f"{middle_cut(charge.pk)} (−2), {middle_cut(used.entry_id)} (+2)"
    assert (shown["Granted by"], shown["Made by"], shown["Reason"]) == (
        "MisarBlog",
        "MisarBlog, key wsk_test",
        "Welcome The user sees it.",
    )
    for entry, moved in ((charge.pk, "−2"), (used.entry_id, "+2")):
        answer = staff.get(page("entry_change", entry))
        assert facts(answer)["Grants"] == f"{middle_cut(used.pk)} ({moved})"
        assert page("lot_change", used.pk) in answer.text


def test_the_lists_of_entries_name_a_grant_and_its_end_and_lead_to_it(staff, each):
    voided = each["voided"]
    link = f'<a href="{page("lot_change", voided.pk)}">Welcome</a>'
    answer = staff.get(reverse("admin:wallet_entry_changelist"), {"kind__exact": "expiry"})
    assert link in answer.text
    entries = table(user_page(staff), "entries")
    assert ["Taken back: Welcome See the grant", "MisarMail"] in [row[:2] for row in entries]
    assert ["Ended unspent: Welcome See the grant", "MisarBlog"] in [row[:2] for row in entries]
    assert ["Granted: Sorry See the grant", ""] in [row[:2] for row in entries]
    see = f'<a href="{page("lot_change", voided.pk)}">See the grant</a>'
    assert user_page(staff).text.count(see) == 2


def test_the_file_of_entries_names_the_grant(staff, each):
    rows = file_of(staff, "entry", kind__exact="grant")
    assert {row["grant_id"] for row in rows} == {lot.pk for lot in each.values()}


# --- The user's page ------------------------------------------------------------------------------------


def test_a_users_page_shows_paid_and_granted_credits_and_each_grant(staff, each, give):
    give(USER, 20)
    open_hold = hold(USER, 3)
    answer = user_page(staff)
    shown = words(answer)
    assert "Available 27 credits Balance 30, 3 held Paid 20, granted 10" in shown
    ends = {state: in_words(lot.ends_at, "j M Y, H:i") for state, lot in each.items()}
    voided_at = in_words(Lot.objects.get(pk=each["voided"].pk).ends_at, "j M Y, H:i")
    act = f"Void this grant , {each['active'].pk}"
    assert table(answer, "grants") == [
        ["Sorry from staff", "Active", ends["active"], "10", "10", "3", act],
        ["Welcome from MisarMail", "Voided", voided_at, "5", "0", "0", ""],
        ["Welcome from MisarBlog", "Used", ends["used"], "2", "0", "0", ""],
        ["Welcome from MisarBlog", "Expired", ends["expired"], "6", "0", "0", ""],
    ]
    assert f"{LIST}?wallet__user_id__exact={USER}" in answer.text
    assert open_hold.pk in answer.text


def test_a_users_page_without_grants_says_nothing_of_them(staff, give, ada):
    give(USER, 5)
    shown = words(user_page(staff))
    assert "granted" not in shown
    assert "All grants" not in shown


def test_a_debt_behind_a_grant_is_shown(staff, give, ada):
    topup = give(USER, 5)
    grant(USER, 8)
    capture(hold(USER, 8))
    grant(USER, 4)
    take_back(topup, 5)
    assert "Balance 4 credits Paid 0, granted 4" in words(user_page(staff))


def test_staff_who_may_not_view_grants_and_budgets_see_none(client, each):
    member = StaffFactory.create(is_superuser=False)
    support = Group.objects.get(name="support")
    member.user_permissions.set(support.permissions.exclude(codename__in=["view_lot", "view_budget"]))
    enter(client, member)
    answer = user_page(client)
    assert "All grants" not in words(answer)
    assert page("lot_change", each["active"].pk) not in answer.text
    assert client.get(LIST).status_code == 403


# --- Grant ----------------------------------------------------------------------------------------------


def test_billing_grants_credits_once_with_two_reasons(billing, ada):
    address = page("wallet_grant", USER)
    shown = words(billing.get(address))
    assert "You may move 100 credits by hand in 24 hours; 100 of them are left." in shown
    form = asked(10, key="k1")
    for _ in range(2):
        answer = send(billing, address, **form)
        assert answer.status_code == 302
    assert answer["Location"] == page("wallet_change", USER)
    [lot] = Lot.objects.all()
    assert (lot.product, lot.credits, lot.reason) == ("", 10, "Sorry for the outage")
    assert f"{lot.expires_at:%Y-%m-%d %H:%M:%S}" == f"{form['expires_at_0']} {form['expires_at_1']}"
    entry = Entry.objects.get(pk=lot.entry_id)
    [act] = Act.objects.all()
    assert (entry.kind, entry.actor, entry.reason) == ("grant", actor_of(act.staff), "Sorry for the outage")
    assert (act.about, act.model, act.row_id, act.reason) == (USER, "wallet.lot", lot.pk, "Ada asked for it.")
    assert act.told.startswith("Granted 10 credits until ")
    assert "Ada asked for it." in words(user_page(billing))
    assert "Ada asked for it." in words(billing.get(page("lot_change", lot.pk)))


def test_a_grant_from_the_users_page_leads_back_to_it_and_makes_the_wallet(billing, ada):
    answer = send(billing, f"{page('wallet_grant', USER)}?from=user", **asked(10))
    assert answer["Location"] == reverse("admin:one_user", args=[quote(USER)])
    assert Wallet.objects.get().granted == 10


@pytest.mark.django_db(transaction=True)
def test_the_same_form_sent_at_once_grants_once(ada):
    member = member_of("billing")
    form = asked(10, key="k1", reason="Ada asked for it.")
    clients = [signed_in(member) for _ in range(4)]
    calls = [ready(client, page("wallet_grant", USER), form) for client in clients]
    assert {answer.status_code for answer in at_once(calls)} == {302}
    assert Lot.objects.count() == Act.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_grants_at_once_do_not_pass_the_days_limit_together(ada):
    member = member_of("billing")
    clients = [signed_in(member) for _ in range(4)]
    calls = [
        ready(client, page("wallet_grant", f"usr_{n}"), asked(60, key=f"k{n}", reason="Asked for."))
        for n, client in enumerate(clients)
    ]
    assert sorted(answer.status_code for answer in at_once(calls)) == [200, 200, 200, 302]


def test_a_grant_counts_like_an_adjustment(billing, ada):
    assert send(billing, page("wallet_grant", USER), **asked(60)).status_code == 302
    assert "40 of them are left" in send(billing, page("wallet_adjust", USER), credits="41").text
    assert "40 of them are left" in send(billing, page("wallet_grant", USER), **asked(41)).text
    assert send(billing, page("wallet_grant", USER), **asked(40)).status_code == 302
    assert Act.objects.count() == Lot.objects.count() == 2


def test_no_form_grants_more_than_a_form_may_move(staff, ada, settings):
    settings.ADJUSTMENT_CREDITS_MAX = 50
    assert "At most 50 credits at once." in send(staff, page("wallet_grant", USER), **asked(51)).text
    settings.ADJUSTMENT_CREDITS_MAX = 10_000_000
    answer = send(staff, page("wallet_grant", USER), **asked(1_000_001))
    assert "less than or equal to 1000000" in answer.text
    assert not Lot.objects.exists()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"credits": "0"}, "greater than or equal to 1"),
        ({"credits": ""}, "This field is required."),
        ({"shown_reason": ""}, "This field is required."),
        ({"shown_reason": "x" * 201}, "at most 200 characters"),
        ({"shown_reason": "a\0b"}, "Null characters are not allowed."),
        ({"expires_at_1": ""}, "This field is required."),
        ({"expires_at_1": "25:00"}, "Enter a valid time."),
        ({"expires_at_0": "2020-01-01"}, "Enter a time between one minute and five years from now."),
        ({"expires_at_0": "2199-01-01"}, "Enter a time between one minute and five years from now."),
        ({"reason": ""}, "This field is required."),
    ],
)
def test_a_form_that_is_not_complete_is_refused_beside_its_field(staff, ada, fields, sentence):
    answer = send(staff, page("wallet_grant", USER), **asked(10, **fields))
    assert answer.status_code == 200
    assert sentence in answer.text
    assert "Not saved. Please fix the fields below." in answer.text
    assert not Lot.objects.exists()
    assert not Act.objects.exists()


def test_too_many_grants_are_refused(staff, ada, monkeypatch):
    monkeypatch.setattr(granting, "GRANTS_MAX", 1)
    grant(USER, 1, product="")
    answer = send(staff, page("wallet_grant", USER), **asked(1))
    assert "This user has too many grants with credits left" in answer.text
    assert Lot.objects.count() == 1


def test_no_one_grants_themselves_credits(ada):
    member = member_of("billing")
    client = signed_in(member)
    assert client.get(page("wallet_grant", member.pk)).status_code == 404
    assert "own account" in send(client, page("wallet_grant", member.pk), **asked(10)).text
    assert not Lot.objects.exists()


# --- Void -----------------------------------------------------------------------------------------------


def test_billing_voids_a_grant_of_any_product(billing, ada, give):
    give(USER, 5)
    lot = grant(USER, 10, product="mail")
    capture(hold(USER, 2))
    open_hold = hold(USER, 3)
    shown = words(billing.get(page("lot_void", lot.pk)))
    assert (
        "This removes 5 credits from the user's wallet. Open holds keep 3 credits: their captures can still "
        "spend them, and what they release is removed too. What was spent (2 credits) stays spent."
    ) in shown
    assert "State Active Granted 10 credits, by MisarMail Left 8 credits Held 3 credits Ends" in shown
    for _ in range(2):
        assert send(billing, page("lot_void", lot.pk), key="k1").status_code == 302
    lot.refresh_from_db()
    assert (lot.removed, lot.held_when_voided) == (5, 3)
    assert available_of(USER) == 5
    [act] = Act.objects.all()
    assert (act.about, act.model, act.told) == (
        USER,
        "wallet.lot",
        "Voided a grant of MisarMail: 5 credits removed; 3 credits kept for open holds.",
    )
    capture(open_hold, 1)
    assert funds_of(USER).balance == 5
    assert found(billing, LIST, state="voided") == [lot.pk]


@pytest.mark.parametrize("end", ["voided", "expired"])
def test_a_grant_that_has_ended_meanwhile_is_not_voided(billing, ada, end):
    lot = past_grant(USER, 5) if end == "expired" else grant(USER, 5)
    if end == "voided":
        void(lot)
    assert billing.get(page("lot_void", lot.pk)).status_code == 404
    sentence = "This grant was voided already" if end == "voided" else "This grant has ended already"
    assert sentence in words(send(billing, page("lot_void", lot.pk)))
    assert not Act.objects.exists()


def test_support_looks_and_does_not_grant_or_void(ada):
    lot = grant(USER, 10)
    support = signed_in(member_of("support"))
    shown = words(user_page(support))
    assert "All grants" in shown
    assert "Void this grant" not in shown
    assert "Grant credits" not in shown
    for address in (page("lot_void", lot.pk), page("wallet_grant", USER), page("wallet_remove-budget", USER)):
        assert support.get(address).status_code == 403
        assert send(support, address, **asked(1)).status_code == 403
    assert funds_of(USER).granted == 10


# --- Find -------------------------------------------------------------------------------------------------


def test_the_id_of_a_grant_opens_its_users_page_and_marks_it(staff, each):
    lot = each["active"]
    address = sent(staff, f" {lot.pk} ")
    assert address == f"{reverse('admin:one_user', args=[quote(USER)])}?found={lot.pk}"
    answer = staff.get(address)
    assert f"Found by grant {lot.pk} : Active, 10 of 10 credits left, from staff" in words(answer)
    assert '<tr class="found">' in answer.text
    assert words(answer).count("Void this grant") == 1


def test_a_grant_is_no_new_users_misar_id(staff):
    assert "open their page" not in words(staff.get(sent(staff, "grant_01m8m9ensmpbpypxsfa3g6cvys")))
