"""The page about one user: who they are, where their credits went, and what staff may do."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, Permission
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts import api_keys
from accounts.models import Act, OutgoingMail
from backoffice.one_user import credits, views
from tests.backoffice.plans import captured, plans_of
from tests.backoffice.test_finding import fill, user_page
from tests.factories import StaffFactory, UserFactory, enter
from tests.monetization.records import place, refund, subscribe, tip
from tests.wallet import by_hand
from tests.wallet.entries import sql
from tests.wallet.past import charged, gave_back, wrote
from tests.wallet.reversed import leave_owing
from wallet.models import Entry, StripeEvent, TopUp
from wallet.payments import stripe_gateway


def page_of(client, user_id, **query):
    answer = client.get(user_page(user_id), query)
    assert answer.status_code == 200
    return answer


def words_of(answer):
    """The text of the page, in one line."""
    main = answer.text.partition('id="content-main"')[2]
    return " ".join(re.sub(r"<[^>]*>", " ", main).split())


def member_of(client, role):
    member = StaffFactory.create(is_superuser=False)
    member.groups.add(Group.objects.get(name=role))
    enter(client, member)
    return member


def labels(actions):
    return [action["label"] for action in actions]


def rows_of(answer, part):
    """The text of each row of a table, in one line."""
    table = (
        answer.text.partition(f'aria-labelledby="{part}">')[2].partition("<tbody>")[2].partition("</tbody>")
    )
    return [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in table[0].split("<tr")[1:]]


# --- Who it is ----------------------------------------------------------------------------------------


def test_a_user_with_a_wallet(staff, give):
    UserFactory.create(misar_id="usr_1", name="Ada", email="ada@example.com")
    give("usr_1", 1250)
    words = words_of(page_of(staff, "usr_1"))
    for text in ("Ada", "usr_1", "ada@example.com", "Free plan", "1,250 credits", "1 entry"):
        assert text in words


def test_a_user_without_a_wallet(staff):
    UserFactory.create(misar_id="usr_1")
    answer = page_of(staff, "usr_1")
    assert "No wallet yet" in words_of(answer)
    assert labels(answer.context["actions"])[0] == "Adjust the balance"


def test_a_wallet_without_a_user(staff, give):
    give("usr_1", 25)
    words = words_of(page_of(staff, "usr_1"))
    assert "This user has never signed in here" in words
    assert "plan" not in words.replace("address and plan", "")


def test_an_unknown_user(staff):
    answer = page_of(staff, "usr_unknown")
    assert "This Misar ID is unknown" in words_of(answer)
    assert labels(answer.context["actions"]) == ["Adjust the balance", "Grant credits"]


def test_users_who_owe_work_here_or_may_not_sign_in_are_tagged(staff, give):
    UserFactory.create(misar_id="usr_1", is_active=False, is_staff=True)
    leave_owing(give, "usr_1", 2)
    answer = page_of(staff, "usr_1")
    assert "Staff May not sign in Owes Balance −2 credits" in words_of(answer)


def test_an_invalid_misar_id_has_no_page(staff):
    for address in ("a_0Ab", "x" * 256):
        assert staff.get(f"/admin/user/{address}/").status_code == 404


def test_names_are_escaped(staff, give):
    UserFactory.create(misar_id="<i>usr</i>", name="<script>alert(1)</script>", email="")
    wrote(5, timezone.now(), user_id="<i>usr</i>", reason="<b>bold</b>", actor="user:<u>")
    answer = page_of(staff, "<i>usr</i>", found="<script>")
    for piece in ("<script>alert", "<i>usr", "<b>bold", "<u>"):
        assert piece not in answer.text


# --- Where the credits went ---------------------------------------------------------------------------


def test_spending_of_this_month_and_the_last_is_shown_by_feature(staff, article_rate):
    now = timezone.now()
    last_month = now.replace(day=1) - timedelta(days=3)
    wrote(100, last_month - timedelta(days=90))
    charged(10, last_month, feature=article_rate, product="blog")
    charge = charged(8, last_month, feature="mail.send")
    charged(3, now, feature=article_rate, product="blog")
    gave_back(charge, 3, now)
    answer = page_of(staff, "usr_1")
    assert [row.partition("> ")[2] for row in rows_of(answer, "spending")] == [
        "Generate an article blog.article.generate MisarBlog 3 10",
        "Send emails (per 1,000) mail.send MisarMail 0 5",
    ]
    months = answer.context["spending"].this_month, answer.context["spending"].last_month
    assert [month.total for month in months] == [3, 15]
    assert [staff.get(month.entries_url).context["cl"].result_count for month in months] == [2, 2]


def test_many_features_end_in_one_row(db):
    wrote(1000, timezone.now())
    for number in range(credits.SPENDING_ROWS_MAX + 3):
        charged(number + 1, timezone.now(), feature=f"f.{number}")
    spending = credits.spending_of("usr_1")
    assert len(spending.rows) == credits.SPENDING_ROWS_MAX + 1
    assert (spending.rows[-1].label, spending.rows[-1].this_month) == ("3 more", 6)
    assert spending.this_month.total == 120


def test_the_newest_entries_show_what_happened_by_whom_and_why(staff, article_rate):
    wrote(100, timezone.now())
    charge = charged(3, timezone.now(), feature=article_rate, product="blog", actor="service:wsk_1a2b3c4d")
    adjusted = by_hand.adjust(
        user_id="usr_1", credits=5, reason="Sorry for the wait", key="k", actor="user:staff:grace"
    )
    answer = page_of(staff, "usr_1")
    newest, second, _ = rows_of(answer, "entries")
    assert "Sorry for the wait" in newest
    assert newest.endswith("+5 102 grace (staff)")
    assert "Generate an article × 3" in second
    assert second.endswith("−3 97 Key wsk_1a2b3c4d")
    for entry in (adjusted, charge):
        assert reverse("admin:wallet_entry_change", args=[quote(entry.pk)]) in answer.text
    assert "?wallet__user_id__exact=usr_1" in answer.text


def test_the_row_of_a_search_is_named_and_marked(staff):
    entry = wrote(5, timezone.now())
    wrote(7, timezone.now(), user_id="usr_2")
    answer = page_of(staff, "usr_1", found=entry.pk)
    assert f"Found by entry {entry.pk} : Adjustment by staff of 5 credits" in words_of(answer)
    assert [row.pk for row, _, _ in answer.context["entries"]] == [entry.pk]
    assert '<tr class="found">' in answer.text
    assert (
        answer.context["found_actions"] == []
    )  # An adjustment has no action; another adjustment corrects it.
    for other in ("txn_unknown", Entry.objects.get(wallet="usr_2").pk, "ada@example.com", "\N{BELL}", ""):
        assert page_of(staff, "usr_1", found=other).context["found"] is None


def test_a_charge_that_was_found_can_be_given_back_from_this_page(staff):
    wrote(5, timezone.now())
    charge = charged(3, timezone.now())
    for _ in range(30):  # The charge is too old for the list by now.
        wrote(1, timezone.now())
    answer = page_of(staff, "usr_1", found=charge.pk)
    assert labels(answer.context["found_actions"]) == ["Give this charge back"]
    assert charge.pk not in [row.pk for row, _, _ in answer.context["entries"]]
    give_back = answer.context["found_actions"][0]["url"]
    done = staff.post(give_back, {"credits": "3", "reason": "It failed", "key": "k"})
    assert done.headers["Location"] == user_page("usr_1")


# --- Payments -----------------------------------------------------------------------------------------


def test_a_top_up_is_shown_with_its_stripe_events(staff, deliver, checkout_event):
    deliver(checkout_event("cs_test_1", event_id="evt_1", payment_intent="pi_1"))
    answer = page_of(staff, "usr_1")
    [topup] = rows_of(answer, "topups")
    for shown in ("Paid", "$25.00", "Checkout cs_test_1", "checkout.session.completed Handled"):
        assert shown in topup
    assert 'href="https://dashboard.stripe.com/test/payments/pi_1"' in answer.text
    assert reverse("admin:wallet_stripeevent_change", args=[quote("evt_1")]) in answer.text
    assert 'rel="noopener noreferrer"' in answer.text


def test_a_live_payment_is_linked_to_the_live_dashboard():
    page = stripe_gateway.page_of_payment
    assert page("pi_1", live=True) == "https://dashboard.stripe.com/payments/pi_1"
    assert page("pi_1") == "https://dashboard.stripe.com/test/payments/pi_1"
    assert page("", live=True) == page("../x", live=True) == ""


def test_a_parked_payment_is_found_and_not_called_unpaid(staff, deliver, checkout_event):
    TopUp.objects.create(user_id="usr_1", stripe_session_id="cs_test_1", state="created", amount_cents=2500)
    deliver(checkout_event("cs_test_1", payment_intent="pi_1", currency="eur"))
    found = staff.post(reverse("admin:find"), {"sought": "pi_1"}, follow=True)
    assert found.redirect_chain[-1][0].startswith(reverse("admin:one_user", args=[quote("usr_1")]))
    [topup] = rows_of(found, "topups")
    assert "Parked for staff" in topup
    assert "Waiting for payment" not in topup
    [event] = rows_of(found, "trouble")
    assert "Payment at Stripe pi_1" in event
    assert 'href="https://dashboard.stripe.com/test/payments/pi_1"' in found.text


def test_parked_and_failed_events_that_name_the_user_come_first(staff):
    now = timezone.now()
    for state, tries in (("parked", 1), ("waiting", 2), ("handled", 1), ("resolved", 1), ("ignored", 1)):
        StripeEvent.objects.create(
            id=f"evt_{state}",
            type="checkout.session.completed",
            state=state,
            tries=tries,
            user_id="usr_1",
            remark=f"Because it was {state}",
            received_at=now,
        )
        now -= timedelta(minutes=1)
    answer = page_of(staff, "usr_1")
    parked, waiting = rows_of(answer, "trouble")
    assert "evt_parked" in parked
    assert "Parked for staff" in parked
    assert "evt_waiting" in waiting
    assert "Failed 2 times" in waiting
    words = words_of(answer)
    assert words.index("Because it was parked") < words.index("Where the credits went")
    assert "Handle it again" in words


def test_an_action_leads_back_to_this_page(staff, give):
    UserFactory.create(misar_id="usr_1")
    give("usr_1", 25)
    answer = page_of(staff, "usr_1")
    adjust = answer.context["actions"][0]["url"]
    assert adjust == reverse("admin:wallet_wallet_adjust", args=[quote("usr_1")]) + "?from=user"
    done = staff.post(adjust, {"credits": "5", "reason": "A gift", "key": "k"})
    assert done.headers["Location"] == user_page("usr_1")
    words = words_of(page_of(staff, "usr_1"))
    assert "What staff did" in words
    assert "A gift" in words
    assert "30 credits" in words


# --- Keys, income, mail, acts -------------------------------------------------------------------------


def test_keys_are_shown_with_their_state_and_can_be_revoked(staff):
    owner = UserFactory.create(misar_id="usr_1")
    key, secret = api_keys.issue(owner=owner, name="Newsletter")
    gone, _ = api_keys.issue(owner=owner, name="Old", within_limit=False)
    api_keys.revoke(owner=owner, key_id=gone.pk)
    answer = page_of(staff, "usr_1")
    old, newsletter = rows_of(answer, "keys")
    assert "Newsletter" in newsletter
    assert "Active Revoke this key , Newsletter" in newsletter
    assert old.endswith("Revoked never")
    assert secret[:12] in answer.text
    assert secret[:13] not in answer.text
    assert key.digest not in answer.text


def test_a_creators_records_are_counted_by_currency(staff):
    creator = UserFactory.create(misar_id="usr_1")
    given = tip(creator, 500, name="Alex")
    tip(creator, 700, currency="EUR")
    back = refund(given, 100)
    subscribe(creator)
    place(creator, price_cents=5000)
    answer = page_of(staff, "usr_1")
    assert [row.partition("> ")[2] for row in rows_of(answer, "creator")] == [
        "Tips in EUR 1 7.00 EUR fees 0.35, refunded 0.00",
        "Tips in USD 1 5.00 USD fees 0.25, refunded 1.00",
        "Subscriptions in USD 1 95.88 USD a year 1 paying, 0 of them past due",
        "Placements in USD 1 50.00 USD booked 1 running now",
    ]
    assert "the fee is 5% of each tip" in words_of(answer)
    assert [each.pk for each in answer.context["creator"]["refunds"]] == [back.pk]
    assert "−1.00 USD" in rows_of(answer, "newest_refunds")[0]
    assert "from Alex, 1.00 USD refunded" in words_of(answer)
    assert page_of(staff, UserFactory.create().pk).context["creator"] is None


def test_mails_are_named_and_their_text_is_not_shown(staff):
    user = UserFactory.create(misar_id="usr_1")
    OutgoingMail.objects.create(
        kind="receipt",
        fact="receipt:top_1",
        user=user,
        to="ada@elsewhere.example",
        subject="s",
        text="secret",
    )
    answer = page_of(staff, "usr_1")
    assert "Receipts" in words_of(answer)
    assert "ada@elsewhere.example" not in answer.text
    assert "secret" not in words_of(answer)


# --- Permissions --------------------------------------------------------------------------------------


@pytest.fixture
def user_with_everything(give):
    creator = UserFactory.create(misar_id="usr_1")
    give("usr_1", 25)
    refund(tip(creator), 100)
    api_keys.issue(owner=creator, name="Newsletter")
    StripeEvent.objects.create(id="evt_1", type="x", state="parked", user_id="usr_1")
    member = StaffFactory.create()
    Act.objects.create(
        **{"staff": member, "verb": "plan", "label": "Change plan", "model": "accounts.user"},
        **{"row_id": "usr_1", "about": "usr_1", "told": "Moved.", "reason": "Asked", "form_key": "k"},
        content="c",
    )
    return creator


def test_support_sees_everything_and_may_do_nothing(client, user_with_everything):
    member_of(client, "support")
    answer = page_of(client, "usr_1")
    for part in ("Entries", "Top-ups", "Needs review", "API keys", "As a creator", "What staff did"):
        assert part in words_of(answer)
    assert answer.context["actions"] == []
    assert "?from=user" not in answer.text


def test_billing_may_act_and_not_change_the_access(client, user_with_everything):
    member_of(client, "billing")
    answer = page_of(client, "usr_1")
    assert labels(answer.context["actions"]) == [
        "Adjust the balance",
        "Grant credits",
        "Freeze this wallet",
        "Change plan",
    ]
    assert "Revoke this key" in rows_of(answer, "keys")[0]


def test_each_part_is_shown_to_staff_who_may_view_its_rows(client, user_with_everything):
    member = StaffFactory.create(is_superuser=False)
    enter(client, member)
    assert client.get(user_page("usr_1")).status_code == 403
    parts = {
        "accounts.view_user": "usr_1@example.com",
        "wallet.view_wallet": "25 credits",
        "wallet.view_entry": "Where the credits went",
        "wallet.view_topup": "$25.00",
        "wallet.view_stripeevent": "Needs review",
        "accounts.view_apikey": "API keys",
        "monetization.view_tip": "Newest tips",
        "monetization.view_refund": "Newest refunds",
        "accounts.view_act": "Moved.",
    }
    for number, permission in enumerate(parts, start=1):
        app, codename = permission.split(".")
        member.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        words = words_of(page_of(client, "usr_1"))
        assert [part in words for part in parts.values()] == [True] * number + [False] * (
            len(parts) - number
        ), permission


def test_visitors_who_are_not_staff_are_refused(client, user_with_everything):
    assert client.get(user_page("usr_1")).status_code == 302
    client.force_login(user_with_everything)
    assert client.get(user_page("usr_1")).status_code in (302, 403)


# --- Cost ---------------------------------------------------------------------------------------------


def queries_of(client, user_id):
    with captured() as queries:
        page_of(client, user_id)
    return [query.strip() for query in queries]


def test_the_page_runs_as_many_queries_for_10000_entries_as_for_10(staff):
    for user_id, entries in (("usr_few", 10), ("usr_many", 10_000)):
        UserFactory.create(misar_id=user_id)
        fill([user_id], entries)
    few, many = (queries_of(staff, user_id) for user_id in ("usr_few", "usr_many"))
    assert len(few) == len(many) <= 40


def test_no_part_of_the_page_reads_a_whole_table(staff):
    """With sequential scans off, PostgreSQL finds an index for each part.

    test_at_scale.py checks what it chooses by itself with a million entries.
    """
    creator = UserFactory.create(misar_id="usr_7")
    fill(["usr_7"], 10)
    refund(tip(creator), 100)
    subscribe(creator)
    place(creator)
    TopUp.objects.create(user_id="usr_7", stripe_session_id="cs_1", state="created")
    queries = queries_of(staff, "usr_7")
    sql("SET LOCAL enable_seqscan = off")
    for query, nodes in plans_of(queries):
        assert "Seq Scan" not in {node["Node Type"] for node in nodes}, query


def test_a_part_that_takes_too_long_says_so():
    """The overview's tests show how a part is given up in time; it is None then."""
    shown = render_to_string("backoffice/_user_spending.html", {"no_spending": views.TOO_MANY})
    assert "too many entries to add up" in shown
    assert "Nothing was charged" not in shown


@pytest.mark.breaks_the_books
def test_a_history_with_a_gap_still_has_its_page(staff, give):
    for _ in range(3):
        give("usr_1", 5)
    sql("SET CONSTRAINTS ALL IMMEDIATE")
    sql("SET LOCAL session_replication_role = replica")
    sql("DELETE FROM wallet_entry WHERE sequence = 2")
    page = page_of(staff, "usr_1")
    assert "An entry is missing from this history" in page.text
    assert len(page.context["entries"]) == 2
