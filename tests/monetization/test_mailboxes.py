"""A reader is a mailbox: counted once, found, exported and erased in each spelling, shown as given."""

import json
import threading
import unicodedata
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.urls import reverse

from foundation import mailboxes
from monetization import tips
from monetization.dashboard.subscriptions.forms import SubscriptionFilterForm
from monetization.dashboard.tips.forms import TipFilterForm
from monetization.figures import attention, payers, stats
from monetization.figures.periods import period_of
from monetization.figures.supporters import top
from monetization.models import Subscription, Tip
from monetization.privacy import erasure, readers
from tests.backoffice.creators.test_lists import run_action
from tests.backoffice.plans import captured, plans_of
from tests.crowd import second_connection
from tests.monetization.conftest import SUBSCRIPTIONS, TIP
from tests.monetization.records import (
    NOON,
    change,
    clock_at,
    days,
    everything,
    hear_of,
    refund,
    subscribe,
    tables_with,
    tip,
    write_to_the_log,
)
from tests.wallet.entries import sql

pytestmark = pytest.mark.django_db

UNICODE, ENCODED, UPPER = "zoe@bücher.example", "zoe@xn--bcher-kva.example", "ZOE@BÜCHER.example"
DECOMPOSED = unicodedata.normalize("NFD", UNICODE)
SPELLINGS = [UNICODE, ENCODED, UPPER, DECOMPOSED, "Zoe@XN--BCHER-KVA.example", "zoe@bü\u3002x.example"]
SAME = SPELLINGS[:5]
NEIGHBOURS = ["zoe@bucher.example", "zoe@buecher.example", "joe@bücher.example", "zoe@bücher.example.org"]


def api_tip(api, email, **facts):
    answer = api.post(TIP, {"amount_cents": 500, "email": email, **facts})
    assert answer.status_code == 200
    return Tip.objects.get(pk=answer.json()["tip_id"])


def api_subscribe(api, email, plan="monthly", **facts):
    body = {"subscriber_email": email, "plan": plan, "amount_cents": 799, "currency": "USD", **facts}
    answer = api.post(SUBSCRIPTIONS, body)
    assert answer.status_code == 201
    return Subscription.objects.get(pk=answer.json()["data"]["id"])


# The release before lower-cases the address and knows no column `mailbox`.
OLD_TIP = """
INSERT INTO monetization_tip (id, creator_id, gross_cents, fee_cents, net_cents, fee_bps, plan, currency,
       refunded_cents, fee_returned_cents, email, reader, name, message, created_at)
VALUES (%s, %s, 500, 25, 475, 500, 'free', 'USD', 0, 0, %s, %s, 'Zoe', 'Hello', %s)
"""
OLD_SUBSCRIPTION = """
INSERT INTO monetization_subscription (id, creator_id, subscriber_email, reader, plan, interval,
       amount_cents, currency, yearly_cents, status, created_at)
VALUES (%s, %s, %s, %s, 'monthly', 'month', 799, 'USD', 9588, 'active', %s)
"""
OLD_EVENT = """
INSERT INTO monetization_subscriptionevent (subscription_id, creator_id, kind, status, plan, amount_cents,
       currency, yearly_cents_delta, occurred_at, created_at)
VALUES (%s, %s, 'created', 'active', 'monthly', 799, 'USD', 9588, %s, %s)
"""


def by_the_release_before(creator, email, at=None):
    """A tip and a subscription as the release before writes them."""
    at = at or datetime.now(UTC)
    number = Tip.objects.count() + Subscription.objects.count()
    with connection.cursor() as cursor:
        cursor.execute(OLD_TIP, [f"tip_old{number}", creator.pk, email, email.lower(), at])
        cursor.execute(OLD_SUBSCRIPTION, [f"sub_old{number}", creator.pk, email, email.lower(), at])
        cursor.execute(OLD_EVENT, [f"sub_old{number}", creator.pk, at, at])


# --- Counted --------------------------------------------------------------------------------------------


def paying(creator):
    figures = stats.of_creator(creator, period="30d").currencies["USD"]
    return figures.paying_subscribers, figures.new_subscribers


def test_one_reader_in_five_spellings_is_one_subscriber(api, creator):
    for email in SAME:
        api_subscribe(api, email)
    assert paying(creator) == (1, 1)
    for email in NEIGHBOURS:
        api_subscribe(api, email)
    assert paying(creator) == (1 + len(NEIGHBOURS), 1 + len(NEIGHBOURS))
    assert "5 new subscribers" in attention.summary(creator, at=datetime.now(UTC))


def test_a_reader_who_cancels_one_spelling_has_not_left(creator):
    with clock_at(NOON - days(40)):
        first, _ = subscribe(creator, UNICODE), subscribe(creator, ENCODED)
    with clock_at(NOON - days(3)):
        change(first, status="cancelled")
    with clock_at(NOON):
        assert stats.of_creator(creator, period="30d").currencies["USD"].churn == stats.Churn(left=0, of=1)


def test_one_reader_in_five_spellings_is_one_supporter_shown_as_given(api, creator):
    for email in SAME:
        api_tip(api, email)
    api_tip(api, NEIGHBOURS[0])
    first, second = top(creator, "USD", period_of(creator, "30d", at=datetime.now(UTC)))
    assert (first.email, first.tips, first.total_cents) == (SAME[-1], 5, 2500)
    assert second.email == NEIGHBOURS[0]


@pytest.mark.parametrize("email", SPELLINGS)
def test_lists_and_files_show_the_address_as_given(api, client, creator, email):
    given, subscription = api_tip(api, email), api_subscribe(api, email)
    assert (given.email, subscription.subscriber_email) == (email, email)
    client.force_login(creator)
    for page in ("dashboard:tips", "dashboard:subscriptions"):
        assert email in client.get(reverse(f"{page}-csv")).getvalue().decode()
    assert email in client.get(reverse("dashboard:subscriptions")).text
    assert email in client.get(reverse("dashboard:tip", args=[given.pk])).text
    assert api.get(SUBSCRIPTIONS).json()[0]["subscriber_email"] == email


# --- Found ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", SAME)
def test_each_spelling_finds_all_in_the_dashboard(api, client, creator, typed):
    given = {api_tip(api, email).pk for email in SAME}
    subscriptions = {api_subscribe(api, email).pk for email in SAME}
    for email in NEIGHBOURS[:3]:
        api_tip(api, email)
        api_subscribe(api, email)
    client.force_login(creator)
    for form, rows in ((TipFilterForm, given), (SubscriptionFilterForm, subscriptions)):
        assert {row.pk for row in form({"search": typed}, creator).records()} == rows
    for page in ("tips", "subscriptions"):
        lines = client.post(reverse(f"dashboard:{page}-csv"), {"search": typed})
        assert len(lines.getvalue().decode().splitlines()) == 1 + len(SAME)


@pytest.mark.parametrize("typed", ["zoe@", "ZOE@b", "zoe@bü", "zoe@bu\u0308c", "zoe@bücher.e", "zoe@bücher."])
def test_the_beginning_of_a_spelling_finds_it(creator, typed):
    given = tip(creator, email=UNICODE)
    assert list(Tip.objects.filter(Tip.mailbox_begins(typed))) == [given]


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
@pytest.mark.parametrize("name", ["Zoë Müller", "Émile", "ÅSA"])
def test_a_name_is_found_in_both_forms_of_its_letters(creator, name, typed, stored):
    given = tip(creator, name=unicodedata.normalize(stored, name))
    tip(creator, name="Zoe Muller")
    form = TipFilterForm({"search": unicodedata.normalize(typed, name.lower()[:4])}, creator)
    assert list(form.records()) == [given]


def test_a_finished_label_finds_the_other_spellings(creator):
    rows = {tip(creator, email=email).pk for email in SAME}
    tip(creator, email="zoe@bücherei.example")
    for typed in ("zoe@bücher.exa", "Zoe@xn--bcher-kva.e"):
        assert {row.pk for row in Tip.objects.filter(Tip.mailbox_begins(typed))} == rows


@pytest.mark.parametrize("typed", SAME)
def test_each_spelling_finds_all_in_the_back_office(staff, creator, typed):
    given = {tip(creator, email=email).pk for email in SAME}
    subscriptions = {subscribe(creator, email).pk for email in SAME}
    tip(creator, email=NEIGHBOURS[0])
    for name, rows in (("tip", given), ("subscription", subscriptions)):
        answer = staff.post(reverse(f"admin:monetization_{name}_changelist"), {"sought": typed}, follow=True)
        assert {row.pk for row in answer.context["cl"].result_list} == rows
    found = staff.post(reverse("admin:find"), {"sought": typed}, follow=True).context["found"]
    assert {match.name for match in found.matches} == given | subscriptions


def test_the_files_of_the_back_office_have_no_second_address(staff, creator):
    tip(creator, email=UNICODE)
    text = staff.get(reverse("admin:monetization_tip_csv")).text
    assert UNICODE in text
    assert ENCODED not in text


# --- Exported and erased --------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", SAME)
def test_the_command_exports_each_spelling_as_given(creator, stranger, typed):
    for email in SAME:
        tip(creator, email=email)
        subscribe(stranger, email)
    tip(creator, email=NEIGHBOURS[0])
    out = StringIO()
    call_command("export_reader", typed, stdout=out)
    exported = json.loads(out.getvalue())
    assert sorted(each["email"] for each in exported["tips"]) == sorted(SAME)
    assert sorted(each["subscriber_email"] for each in exported["subscriptions"]) == sorted(SAME)


@pytest.mark.parametrize("typed", [*SAME, "zoe@bü\u00adcher.example"])
def test_the_command_erases_each_spelling_wherever_it_is_kept(api, creator, stranger, typed):
    soft = "zoe@bü\u00adcher.example"
    rows = [tip(creator, email=email, name="Zoe Z") for email in [*SAME, soft]]
    for email in SAME:
        subscribe(stranger, email)
        api.post(TIP, {"amount_cents": 500, "email": email}, headers={"Idempotency-Key": f"for {email}"})
    for email in [*SAME, soft]:
        write_to_the_log(f"Asked by {email}.", creator)
        person = {"email": email, "name": "Zoe Z"}
        hear_of({"customer_details": person, "url": "?to=zoe%40b%C3%BCcher.example"})
    tips.refund(tip_id=rows[0].pk, amount_cents=100, reason=f"{UPPER} asked", key="1", actor="user:staff:1")
    for email in NEIGHBOURS[:3]:
        tip(creator, email=email)
    assert "monetization_tip" in tables_with(UNICODE)
    call_command("erase_reader", typed, "--apply", stdout=StringIO())
    assert tables_with(*SAME, soft, "zoe%40b", "Zoe Z", "b\\u00fccher.example\\u", ENCODED) == set()
    assert set(Tip.objects.exclude(email__endswith="erased.invalid").values_list("email", flat=True)) == set(
        NEIGHBOURS[:3]
    )
    assert not Tip.objects.exclude(mailbox=None).filter(reader__endswith="erased.invalid").exists()
    # The rows of one creator keep one stand-in, so no figure changes.
    erased = Tip.objects.filter(creator=creator, reader__endswith="erased.invalid")
    assert erased.values("reader").distinct().count() == 1


def test_no_neighbour_is_erased(creator):
    kept = [*NEIGHBOURS, "zoe@strasse.example", "ian@x.co", "sam@x.co", "zoe@οδος.example"]
    for email in kept:
        tip(creator, email=email)
        subscribe(creator, email)
    before = everything()
    for email in (UNICODE, "zoe@straße.example", "\u0131an@x.co", "\u017fam@x.co", "zoe@ΟΔΟΣ.example"):
        assert erasure.erase(email, actor="test").tips == 0
    after = everything()
    assert {table for table in after if after[table] != before[table]} == {"monetization_erasure"}


def test_staff_erase_a_reader_whose_address_is_no_address_in_lower_case(staff, creator):
    """İ in lower case is i with a dot above, which no address may contain."""
    given = tip(creator, email="\u0130an@x.co")
    other = tip(creator, email="ian@x.co")
    assert run_action(staff, "tip_erase-reader", given).status_code == 302
    given.refresh_from_db()
    other.refresh_from_db()
    assert (given.email.endswith("@erased.invalid"), other.email) == (True, "ian@x.co")


@pytest.mark.parametrize(
    "email", ["reader-1@erased.invalid", "reader-1@ERASED\u3002invalid", "reader-1@\uff45rased.invalid"]
)
def test_no_spelling_of_a_stand_in_is_accepted(api, email):
    assert api.post(TIP, {"amount_cents": 500, "email": email}).status_code == 400


# --- The release before writes meanwhile ----------------------------------------------------------------


def test_rows_of_the_release_before_are_counted(creator, api):
    for email in (UNICODE, UPPER, DECOMPOSED, ENCODED):
        by_the_release_before(creator, email)
    api_subscribe(api, "zoe@bücher.example")
    api_tip(api, ENCODED)
    assert paying(creator) == (1, 1)
    [supporter] = top(creator, "USD", period_of(creator, "30d", at=datetime.now(UTC)))
    assert supporter.tips == 5


@pytest.mark.parametrize("typed", SAME)
def test_rows_of_the_release_before_are_found_exported_and_erased(creator, typed):
    for email in (UNICODE, UPPER, DECOMPOSED, ENCODED, "zoe@bucher.example"):
        by_the_release_before(creator, email)
    assert Tip.objects.filter(Tip.in_mailbox(typed)).count() == 4
    exported = readers.export(typed)
    assert (len(exported["tips"]), len(exported["subscriptions"])) == (4, 4)
    erased = erasure.erase(typed, actor="test")
    assert (erased.tips, erased.subscriptions) == (4, 4)
    assert tables_with(UNICODE, DECOMPOSED, ENCODED) == set()


def test_the_address_is_compared_as_given_and_not_as_the_release_before_lowered_it(creator):
    """Python writes Σ before a hyphen as ς, but in a domain it is σ."""
    given = "zoe@ΟΔΟΣ-1.example"
    by_the_release_before(creator, given)
    tip(creator, email="zoe@οδοσ-1.example")
    assert Tip.objects.filter(Tip.in_mailbox(given)).count() == 2


def test_an_erasure_by_the_release_before_leaves_no_mailbox(creator):
    tip(creator, email=UNICODE)
    subscribe(creator, UNICODE)
    assert ENCODED in str(everything())
    sql("UPDATE monetization_tip SET email = 'r@erased.invalid', reader = 'r@erased.invalid'")
    sql(
        "UPDATE monetization_subscription SET subscriber_email = 'r@erased.invalid',"
        " reader = 'r@erased.invalid'"
    )
    assert ENCODED not in str(everything())
    assert [row.mailbox for row in (Tip.objects.get(), Subscription.objects.get())] == [None, None]


def test_other_changes_of_a_row_keep_its_mailbox(creator):
    given, subscription = tip(creator, email=UNICODE), subscribe(creator, UNICODE)
    refund(given, 100)
    change(subscription, status="past_due")
    sql("UPDATE monetization_tip SET message_hidden_at = now()")
    assert [row.mailbox for row in (Tip.objects.get(), Subscription.objects.get())] == [ENCODED, ENCODED]


def test_the_release_before_finds_its_rows_as_it_did(creator):
    given = tip(creator, email=UPPER)
    assert Tip.objects.get(reader=UPPER.lower()) == given


def test_many_rows_are_filled_at_once(creator, monkeypatch):
    monkeypatch.setattr(mailboxes, "FILLED_AT_ONCE", 3)
    for number in range(10):
        by_the_release_before(creator, f"r{number}@bücher.example")
    by_the_release_before(creator, "ascii@example.com")
    Tip.fill_mailboxes()
    filled = dict(Tip.objects.values_list("email", "mailbox"))
    assert filled.pop("ascii@example.com") is None
    assert filled == {f"r{n}@bücher.example": f"r{n}@xn--bcher-kva.example" for n in range(10)}


@pytest.mark.django_db(transaction=True)
def test_two_readers_of_the_figures_fill_at_once(creator):
    for number in range(30):
        by_the_release_before(creator, f"r{number}@bücher.example")
    counts, start = [], threading.Barrier(4)

    def count():
        start.wait(60)
        counts.append(payers.at(creator, [datetime.now(UTC)])["USD"].paying)
        connection.close()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert counts == [30] * 4


@pytest.mark.django_db(transaction=True)
def test_pages_do_not_wait_for_a_locked_row_and_an_erasure_does(api, creator):
    by_the_release_before(creator, UNICODE)
    with second_connection() as second, second.cursor() as other:
        other.execute("BEGIN")
        other.execute("SELECT 1 FROM monetization_tip FOR UPDATE")
        other.execute("SELECT 1 FROM monetization_subscription FOR UPDATE")
        sql("SET lock_timeout = '300ms'")
        assert paying(creator) == (1, 1)
        assert top(creator, "USD", period_of(creator, "30d", at=datetime.now(UTC)))
        assert not Tip.objects.filter(Tip.in_mailbox(ENCODED)).exists()
        with pytest.raises(OperationalError, match="lock timeout"):
            readers.export(UNICODE)
        other.execute("ROLLBACK")
        sql("RESET lock_timeout")
    assert Tip.objects.filter(Tip.in_mailbox(ENCODED)).exists()
    assert erasure.erase(ENCODED, actor="test").tips == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_the_migration_fills_what_is_stored(creator):
    try:
        call_command("migrate", "monetization", "0005", verbosity=0)
        for email in (UNICODE, UPPER, "ascii@example.com"):
            number = sql("SELECT count(*) FROM monetization_tip")[0][0]
            with connection.cursor() as cursor:
                cursor.execute(OLD_TIP, [f"tip_{number}", creator.pk, email, email.lower(), NOON])
                cursor.execute(OLD_SUBSCRIPTION, [f"sub_{number}", creator.pk, email, email.lower(), NOON])
    finally:
        call_command("migrate", "monetization", verbosity=0)
    for table in ("monetization_tip", "monetization_subscription"):
        assert sql(f"SELECT mailbox FROM {table} ORDER BY id") == [(ENCODED,), (ENCODED,), (None,)]


# --- Cost -----------------------------------------------------------------------------------------------


def test_every_search_by_mailbox_uses_indexes(creator):
    for table, column in (("tip", "email"), ("subscription", "subscriber_email")):
        amounts = {
            "tip": (
                "gross_cents, fee_cents, net_cents, fee_bps, refunded_cents, fee_returned_cents, name,"
                " message",
                "500, 25, 475, 500, 0, 0, '', ''",
            ),
            "subscription": ("interval, amount_cents, yearly_cents, status", "'month', 799, 9588, 'active'"),
        }[table]
        sql(
            f"INSERT INTO monetization_{table} (id, creator_id, {column}, reader, plan, currency, created_at,"
            f" {amounts[0]}) SELECT '{table}' || n, '{creator.pk}', 'r' || n || '@x.co', 'r' || n || '@x.co',"
            f" 'monthly', 'USD', now(), {amounts[1]} FROM generate_series(1, 5000) AS n"
        )
        sql(f"ANALYZE monetization_{table}")
    with captured() as asked:
        for email in (UNICODE, "r7@x.co"):
            assert len(Tip.objects.filter(Tip.in_mailbox(email))) <= 1
            assert len(Subscription.objects.filter(Subscription.in_mailbox(email))) <= 1
    scanned = [query for query, nodes in plans_of(asked) for node in nodes if node["Node Type"] == "Seq Scan"]
    assert len(asked) == 8
    assert scanned == []
