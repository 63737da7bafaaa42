"""The lists of the back-office: their filters, searches, order and pages."""

import logging
import re
from itertools import cycle, islice
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.actors import actor_of
from accounts.models import Act, User
from backoffice.lists import change_list
from monetization import subscriptions, tips
from monetization.models import Tip
from tests.factories import StaffFactory, UserFactory, enter
from tests.wallet.past import charged, hosts_gave_the_times, wrote
from wallet.models import Audit, Entry, StripeEvent, TopUp, Wallet

ADMINS = sorted(admin.site._registry, key=lambda model: model._meta.label)
GUESSES = ("startswith", "contains", "iexact", "regex", "gt", "lte", "in", "isnull", "range", "exact", "lt")


def list_of(model):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def found(page):
    """The keys of the rows that a page shows."""
    return [row.pk for row in page.context["cl"].result_list]


# --- Filters --------------------------------------------------------------------------------------------


def declared_by(model) -> set[str]:
    """The filters that a list declares."""
    of_model: Any = admin.site.get_model_admin(model)
    return {*of_model.lookups, *change_list.lookups_of(model._meta, of_model.get_list_filter(None))}


def test_a_list_accepts_only_the_filters_that_it_declares(staff, subtests, rf):
    """The rule refuses every other guess; the page refuses one guess for each field."""
    guesses = cycle(GUESSES)
    for model in ADMINS:
        url, declared, of_model = list_of(model), declared_by(model), admin.site.get_model_admin(model)
        with subtests.test(model=model._meta.label):
            assert staff.get(url).status_code == 200
            for field in model._meta.get_fields():
                for guess in GUESSES:
                    lookup = f"{field.name}__{guess}"
                    assert of_model.lookup_allowed(lookup, "1", rf.get(url)) == (lookup in declared)
                lookup = f"{field.name}__{next(guesses)}"
                if lookup not in declared:
                    answer = staff.get(url, {lookup: "1"})
                    assert (answer.status_code, answer.headers["Location"]) == (302, f"{url}?e=1"), lookup


NONSENSE = (
    *("1", "", "2026-11-22", "2026-11-22T10:00:00+00:00", "0001-01-01T00:00:00+23:59", "x'\"<"),
    *("9" * 30, "-" + "9" * 30, "9999-12-31T23:59:59-23:59", "1" * 2000),
)


def test_every_declared_filter_answers_also_a_value_that_makes_no_sense(staff, subtests):
    """Every filter gets four of the values, and every value goes to many filters."""
    values = cycle(NONSENSE)
    for model in ADMINS:
        with subtests.test(model=model._meta.label):
            for lookup in sorted(declared_by(model)):
                for value in islice(values, 4):
                    answer = staff.get(list_of(model), {lookup: value})
                    assert answer.status_code in (200, 302), (lookup, value)


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        (User, "password__startswith"),
        (User, "email__contains"),
        (User, "api_keys__digest__startswith"),
        (StripeEvent, "payload__contains"),
        (Entry, "wallet__balance__gte"),
        (Act, "staff__password__startswith"),
        (Entry, "reverses__wallet__user_id__exact"),
        (Group, "user__password__startswith"),
    ],
)
def test_no_filter_can_guess_a_secret(staff, model, lookup):
    assert staff.get(list_of(model), {lookup: "a"}).headers["Location"].endswith("?e=1")


def test_the_page_says_that_a_filter_is_unknown_and_shows_no_database_error(staff):
    page = staff.get(list_of(Entry), {"nonsense": "1"}, follow=True)
    assert "A filter in this address is unknown" in page.text
    again = staff.get(list_of(Entry), {"nonsense": "1", "e": "1"}, follow=True)
    assert "Database error" not in again.text


@pytest.mark.parametrize(
    "junk", ["_facets=True", "all=", "p=0", "p=-1", "p=x", "p=99999", "o=x", "o=99", "o=-0.-1"]
)
def test_other_parameters_of_djangos_admin_do_no_harm(staff, give, junk):
    give("usr_1", 10)
    page = staff.get(f"{list_of(Entry)}?{junk}")
    assert page.status_code == 200
    assert len(found(page)) == 1


@pytest.mark.parametrize("value", ["id", "digest", "stripe_session_id"])
def test_rows_are_found_by_their_key_only(staff, value):
    assert staff.get(list_of(Entry), {"_to_field": value}).status_code == 400


# --- Filters that other pages link to ---------------------------------------------------------------------


def test_entries_of_a_kind_a_product_a_user_and_a_time(staff):
    wrote(10, "2026-03-01 09:00:00")
    charge = charged(2, "2026-03-01 10:00:00")
    ask = {
        "kind__exact": "deduct",
        "product__exact": "mail",
        "wallet__user_id__exact": "usr_1",
        "created_at__gte": "2026-03-01T00:00:00+00:00",
        "created_at__lt": "2026-03-02",
    }
    page = staff.get(list_of(Entry), ask)
    assert found(page) == [charge.pk]
    assert "Written" not in page.text
    assert "Wallet is usr_1" in page.text
    assert "Created at from 1 Mar 2026, 00:00:00 UTC" in page.text
    for _, url in page.context["cl"].narrowed:
        assert len(staff.get(list_of(Entry) + url).context["cl"].narrowed) == 2
    assert found(staff.get(list_of(Entry), ask | {"created_at__lt": "2026-02-01"})) == []


def test_the_entries_of_one_wallet_are_sorted_by_sequence(staff):
    with hosts_gave_the_times():
        first = wrote(5, "2026-03-02 10:00:00")
        second = wrote(5, "2026-03-01 10:00:00")
    assert found(staff.get(list_of(Entry), {"wallet__user_id__exact": "usr_1"})) == [second.pk, first.pk]
    assert found(staff.get(list_of(Entry), {"q": "usr_1"})) == [second.pk, first.pk]
    assert found(staff.get(list_of(Entry))) == [first.pk, second.pk]


def test_the_time_filter_counts_back_from_now(staff):
    old = wrote(5, "2025-11-30 12:00:00")
    new = wrote(5, timezone.now())
    assert set(found(staff.get(list_of(Entry)))) == {new.pk, old.pk}
    for when in ("today", "7d", "30d", "month"):
        assert found(staff.get(list_of(Entry), {"when": when})) == [new.pk]
    assert staff.get(list_of(Entry), {"when": "whenever"}).status_code == 302


def test_wallets_that_owe_and_events_that_failed(staff, give):
    give("usr_1", 10)
    assert found(staff.get(list_of(Wallet), {"funds": "owing"})) == []
    StripeEvent.objects.create(id="evt_1", type="checkout.session.completed", tries=2, user_id="usr_1")
    StripeEvent.objects.create(id="evt_2", type="other.type", state="kept")
    ask = {"state__exact": "waiting", "tries__gte": "1"}
    assert found(staff.get(list_of(StripeEvent), ask)) == ["evt_1"]
    assert found(staff.get(list_of(StripeEvent), {"user_id__exact": "usr_1"})) == ["evt_1"]
    other = staff.get(list_of(StripeEvent), {"type__exact": "other.type"})
    assert found(other) == ["evt_2"]
    assert "other.type" in str(
        [list(spec.choices(other.context["cl"])) for spec in other.context["cl"].filter_specs]
    )


def test_a_finding_of_an_audit_is_text(staff):
    now = timezone.now()
    audit = Audit.objects.create(
        kind="laws",
        outcome="found",
        seen_count=1,
        found_count=1,
        findings=[{"law": "A <b>law</b>", "subject": "usr_1"}],
        started_at=now,
    )
    assert found(staff.get(list_of(Audit), {"kind__exact": "laws", "outcome__exact": "found"})) == [audit.pk]
    page = staff.get(reverse("admin:wallet_audit_change", args=[audit.pk]))
    assert "A &lt;b&gt;law&lt;/b&gt;</strong><br>usr_1" in page.text


def test_a_difference_is_shown_in_words_with_a_link_to_its_user(staff):
    finding = {
        "kind": "amount",
        "cents": 10000,
        "user_id": "usr_1",
        "session_id": "cs_1",
        "stripe_id": "cs_1",
    }
    audit = Audit.objects.create(
        kind="stripe",
        outcome="found",
        seen_count=1,
        found_count=2,
        findings=[finding | {"remark": "Stripe has $100.00; the top-up has $90.00."}, {"kind": "later"}],
        started_at=timezone.now(),
    )
    page = staff.get(reverse("admin:wallet_audit_change", args=[audit.pk]))
    assert (
        "<strong>Credited with another amount than paid</strong><br>$100.00 · "
        '<a href="/admin/user/usr_5F1/">usr_1</a> · <code>cs_1</code>'
        "<br>Stripe has $100.00; the top-up has $90.00.</p>"
    ) in page.text
    assert "<strong>later</strong>" in page.text  # A kind of another release.


def test_the_menus_of_the_filters_lead_to_the_same_rows_as_their_values(staff, give):
    give("usr_1", 10)
    charge = charged(2, timezone.now())
    page = staff.get(list_of(Entry), {"kind__exact": "deduct", "wallet__user_id__exact": "usr_1", "o": "0"})
    shown = page.context["cl"]
    kinds, products, when = shown.filters
    assert (kinds.name, products.name, when.name) == ("kind__exact", "product__exact", "when")
    assert [label for _, label, is_chosen in kinds.choices if is_chosen] == ["Charge"]
    assert [each.is_active for each in shown.filters] == [True, False, False]
    assert sorted(shown.kept) == [("o", "0"), ("wallet__user_id__exact", "usr_1")]
    assert found(page) == [charge.pk]
    # A form without scripts sends each menu, also those that leave their filter out.
    sent = dict(shown.kept) | {"kind__exact": "", "product__exact": "", "when": ""}
    everything = staff.get(list_of(Entry), sent)
    assert len(found(everything)) == 2
    assert everything.context["cl"].filters_active == 0
    assert staff.get(list_of(Entry) + shown.unfiltered_url).context["cl"].filters_active == 0


# --- Searching ------------------------------------------------------------------------------------------


PARTS = ("usr_", "%", "'; --", "usr", "_", "cs_test", "a" * 5000, "x y", "\\", "ａ", "@", "a@b")


def test_a_search_must_match_the_whole_term(staff, subtests, give):
    """Every list gets five of the terms, and every term goes to several lists."""
    terms = cycle(PARTS)
    give("usr_1", 10)
    UserFactory.create(misar_id="usr_1")
    for model in ADMINS:
        with subtests.test(model=model._meta.label):
            for term in islice(terms, 5):
                page = staff.post(list_of(model), {"sought": term}, follow=True)
                assert page.status_code in (200, 405), term
                if page.status_code == 200 and page.context["cl"].search_fields:
                    assert found(page) == [], term


def test_a_search_becomes_an_address_that_can_be_kept_with_its_filters(staff, give):
    give("usr_1", 10)
    url = f"{list_of(Entry)}?kind__exact=topup&p=1"
    answer = staff.post(url, {"sought": " usr_1 "})
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"{list_of(Entry)}?kind__exact=topup&q=usr_1"
    assert len(found(staff.get(answer.headers["Location"]))) == 1


@pytest.mark.parametrize("model", [Wallet, Entry, TopUp])
def test_an_e_mail_address_finds_its_users_rows_and_is_in_no_link(staff, give, model):
    give("usr_1", 10)
    UserFactory.create(misar_id="usr_1", email="Ada@Example.com")
    answer = staff.post(list_of(model), {"sought": "ada@example.COM"})
    assert answer.headers["Location"] == f"{list_of(model)}?q=usr_1"
    assert len(found(staff.get(answer.headers["Location"]))) == 1
    give("usr_2", 10)
    UserFactory.create(misar_id="usr_2", email="ada@example.com")
    both = staff.post(list_of(model), {"sought": "ada@example.com"}, follow=True)
    assert len(found(both)) == 2
    assert not [line for line in both.text.split('href="') if "ada" in line.split('"')[0]]


def test_a_reader_is_found_by_address_in_upper_and_lower_case(staff):
    creator = UserFactory.create()
    tip = tips.record(creator=creator, amount_cents=999, email="Alex@Example.com")
    subscription = subscriptions.record(
        creator=creator, subscriber_email="Alex@Example.com", plan="monthly", amount_cents=799, currency="USD"
    )
    for row in (tip, subscription):
        assert found(staff.post(list_of(type(row)), {"sought": "aLEX@example.com"}, follow=True)) == [row.pk]
        assert found(staff.get(list_of(type(row)), {"q": row.pk})) == [row.pk]
        assert found(staff.get(list_of(type(row)), {"creator__misar_id__exact": creator.pk})) == [row.pk]


def test_a_search_for_an_address_has_a_url_that_can_be_kept_and_goes_through_all_pages(staff, client):
    creator = UserFactory.create()
    for _ in range(51):
        tips.record(creator=creator, amount_cents=500, email="alex@example.com")
    other = tips.record(creator=creator, amount_cents=500, email="other@example.com")
    answer = staff.post(f"{list_of(Tip)}?when=today&p=1", {"sought": "Alex@example.com"})
    address = answer.headers["Location"]
    assert answer.status_code == 303
    assert re.fullmatch(rf"{list_of(Tip)}\?when=today&search=[\w-]+", address)
    page = staff.get(address)
    assert (page.context["cl"].result_count, len(found(page))) == (51, 50)
    assert not [line for line in page.text.split('href="') if "alex" in line.split('"')[0].lower()]
    ((_, second),) = [each for each in page.context["cl"].pages if each[1]]
    assert len(found(staff.get(list_of(Tip) + second))) == 1
    assert other.pk not in found(staff.get(list_of(Tip) + second))
    rows = staff.get(page.context["cl"].csv_url).getvalue().decode()
    assert rows.count("alex@example.com") >= 51
    assert other.pk not in rows
    everything = staff.get(list_of(Tip) + page.context["cl"].search_url)
    assert everything.context["cl"].result_count == 52
    enter(client, StaffFactory.create())
    strange = client.get(address, follow=True)
    assert strange.context["cl"].result_count == 52
    assert "its search is no longer kept" in strange.text


def test_what_was_searched_for_is_not_logged(staff, caplog):
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("django.db.backends").setLevel(logging.CRITICAL)
        staff.post(list_of(User), {"sought": "secret@example.com"}, follow=True)
        staff.get(list_of(User), {"q": "secret@example.com"})
    assert "secret@example.com" not in caplog.text


def test_acts_are_found_by_user_by_staff_and_by_row(staff, give):
    give("usr_1", 10)
    member = StaffFactory.create()
    Act.objects.create(
        staff=member,
        verb="adjust",
        label="Adjust",
        model="wallet.wallet",
        row_id="row_1",
        about="usr_1",
        told="x",
    )
    for term in ("usr_1", member.pk, "row_1"):
        page = staff.get(list_of(Act), {"q": term})
        assert len(found(page)) == 1
    assert actor_of(member) not in page.text
    ask = {"model__exact": "wallet.wallet", "row_id__exact": "row_1", "staff__misar_id__exact": member.pk}
    assert len(found(staff.get(list_of(Act), ask | {"about__exact": "usr_1"}))) == 1


# --- Order and pages ------------------------------------------------------------------------------------


def order_of(model, request, **asked):
    """The order of a list for a staff member who asks for it."""
    of_model: Any = admin.site.get_model_admin(model)
    return of_model.get_changelist_instance(request(list_of(model), asked)).queryset.query.order_by


@pytest.fixture
def request_of_staff(staff, rf):
    member = staff.get("/admin/").wsgi_request.user

    def request(url, asked):
        asking = rf.get(url, asked)
        asking.user = member
        return asking

    return request


def test_a_list_is_sorted_only_by_the_columns_that_it_declares(staff, subtests, request_of_staff):
    """Every column in both directions by the change list, and one of them by the page."""
    for model in ADMINS:
        of_model: Any = admin.site.get_model_admin(model)
        usual = order_of(model, request_of_staff)
        with subtests.test(model=model._meta.label):
            for place, name in enumerate(of_model.list_display):
                for sign in ("", "-"):
                    asked = order_of(model, request_of_staff, o=f"{sign}{place}")
                    if name in of_model.sortable_by:
                        assert asked[0].removesuffix("_id") == f"{sign}{name}".removesuffix("_id")
                    elif name in of_model.also_sortable_by and model is not Entry:
                        fields = of_model.also_sortable_by[name]
                        assert asked == (
                            *(each if each == "currency" else sign + each for each in fields),
                            "-pk",
                        )
                    else:
                        assert asked == usual
            shown = staff.get(list_of(model), {"o": f"-{place}"}).context["cl"]
            assert shown.queryset.query.order_by == asked


def test_the_entries_of_one_wallet_are_sorted_by_amount(staff, give):
    """Other lists of entries have no index for it: they read stretches of time."""
    for credits in (7, 9, 5):
        give("usr_1", credits)
    place = admin.site.get_model_admin(Entry).list_display.index("moved")
    ask = {"o": f"-{place}", "wallet__user_id__exact": "usr_1"}
    assert [row.credits for row in staff.get(list_of(Entry), ask).context["cl"].result_list] == [9, 7, 5]
    assert staff.get(list_of(Entry), {"o": f"-{place}"}).context["cl"].columns[place].sort_url == ""


def test_a_list_of_more_rows_than_are_counted_is_sorted_by_its_index_alone(
    staff, request_of_staff, monkeypatch
):
    monkeypatch.setattr(change_list, "CEILING", 1)
    usual, place = (
        order_of(Tip, request_of_staff),
        admin.site.get_model_admin(Tip).list_display.index("gross"),
    )
    tips.record(creator=UserFactory.create(), amount_cents=700)
    few = staff.get(list_of(Tip), {"o": str(place)}).context["cl"]
    assert few.queryset.query.order_by == ("currency", "gross_cents", "-pk")
    assert few.columns[place].sorted == "ascending"
    tips.record(creator=UserFactory.create(), amount_cents=500)
    many = staff.get(list_of(Tip), {"o": str(place)})
    assert many.context["cl"].queryset.query.order_by == usual
    assert (many.context["cl"].columns[place].sort_url, many.context["cl"].columns[place].sorted) == ("", "")
    assert "choose filters for totals" in many.text
    assert "12.00 USD" not in many.text


def test_pages_end_at_the_ceiling_and_say_so(staff, monkeypatch):
    monkeypatch.setattr(change_list, "CEILING", 60)
    Act.objects.bulk_create(
        Act(staff=StaffFactory.create(), verb="v", label="l", model="m", row_id=str(number), form_key="")
        for number in range(70)
    )
    first = staff.get(list_of(Act))
    assert "60+ acts" in first.text
    assert "there are more rows" not in first.text
    last = staff.get(list_of(Act), {"p": "2"})
    assert len(found(last)) == 10
    assert "there are more rows" in last.text
    assert found(staff.get(list_of(Act), {"p": "3"})) == found(last)


def test_a_list_runs_as_many_queries_for_many_rows_as_for_few(staff, give):
    def queries():
        with CaptureQueriesContext(connection) as asked:
            assert staff.get(list_of(Entry)).status_code == 200
            assert staff.get(list_of(Wallet)).status_code == 200
            assert staff.get(list_of(User)).status_code == 200
        return len(asked)

    give("usr_1", 1)
    queries()
    few = queries()
    for number in range(2, 40):
        give(f"usr_{number}", 1)
        UserFactory.create()
    assert queries() == few


# --- The pages ------------------------------------------------------------------------------------------


def test_a_list_loads_no_script_but_the_sidebars(staff, subtests):
    for model in ADMINS:
        page = staff.get(list_of(model)).text
        with subtests.test(model=model._meta.label):
            scripts = [part.split('"')[1] for part in page.split("<script ")[1:]]
            assert [script for script in scripts if "jquery" in script or "jsi18n" in script] == []
            assert len(scripts) <= 2, scripts
            assert "<style" not in page
            assert " style=" not in page


def test_a_row_loads_no_script_and_has_no_form(staff, give):
    entry = give("usr_1", 10)
    page = staff.get(reverse("admin:wallet_entry_change", args=[entry.pk])).text
    assert "jquery" not in page
    assert "jsi18n" not in page
    assert "_save" not in page


def test_an_entry_links_to_its_top_up_and_its_user(staff, give):
    topup_entry = give("usr_1", 10)
    topup = TopUp.objects.get()
    charge = charged(3, timezone.now())
    page = staff.get(reverse("admin:wallet_entry_change", args=[topup_entry.pk])).text
    assert topup.pk in page
    assert "usr_5F1" in page
    assert "3" in staff.get(reverse("admin:wallet_entry_change", args=[charge.pk])).text


def test_a_role_shows_its_members_and_what_it_may(client, db):
    member = StaffFactory.create(is_superuser=False)
    support = Group.objects.get(name="support")
    member.groups.add(support)
    enter(client, member)
    assert found(client.get(list_of(Group))) == [group.pk for group in Group.objects.order_by("name")]
    page = client.get(reverse("admin:auth_group_change", args=[support.pk])).text
    assert member.pk in page
    assert "wallet.view_entry" in page
    without_role = StaffFactory.create(is_superuser=False)
    enter(client, without_role)
    assert client.get(list_of(Group)).status_code == 403


def test_every_list_is_in_the_column_beside_the_pages(staff):
    apps = staff.get("/admin/").context["available_apps"]
    listed = [each["model"].__name__ for app in apps for each in app["models"] if "model" in each]
    assert sorted(listed) == sorted(model.__name__ for model in admin.site._registry)
