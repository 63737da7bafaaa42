"""What the rows of a list come to, their order, their two lines on a phone, and where Stripe's ids stand."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from backoffice.lists import change_list
from foundation.money import amount
from foundation.text import middle_cut
from monetization import tips
from monetization.models import Tip
from tests.backoffice.test_lists import ADMINS, found, list_of
from tests.factories import UserFactory
from tests.wallet.past import charged, wrote
from wallet.models import Entry, StripeEvent, TopUp


def test_totals_are_of_all_rows_of_the_filter_in_each_currency(staff):
    creator = UserFactory.create()
    for cents, code in ((700, "USD"), (500, "USD"), (900, "EUR")):
        tip = tips.record(creator=creator, amount_cents=cents, currency=code)
    tips.refund(creator=creator, tip_id=tip.pk, amount_cents=200, key="k", actor="user:x")
    sql = """
    SELECT currency, sum(gross_cents), sum(fee_cents), sum(refunded_cents) FROM monetization_tip
     GROUP BY currency ORDER BY currency
    """
    with connection.cursor() as cursor:
        cursor.execute(sql)
        wanted = [
            ", ".join(
                f"{amount(cents, code)} {word}"
                for word, cents in zip(("gross", "fee", "refunded"), map(int, sums), strict=True)
            )
            for code, *sums in cursor.fetchall()
        ]
    page = staff.get(list_of(Tip))
    assert page.context["cl"].totals == wanted
    assert wanted[0].startswith("9.00 EUR gross, ")
    assert "2.00 EUR refunded</span>" in page.text
    dollars = staff.get(list_of(Tip), {"currency__exact": "USD"}).context["cl"]
    assert (dollars.counted, dollars.totals) == ("2 tips", wanted[1:])
    assert staff.get(list_of(Tip), {"currency__exact": "KWD"}).context["cl"].totals == ()


def test_no_list_has_a_column_of_stripes_ids_and_the_page_of_a_row_has_them_to_copy(staff, give):
    at_stripe = {"stripe_session_id", "payment", "payment_intent_id", "charge_id", "its_refund", "sessions"}
    for model in ADMINS:
        of_model: Any = admin.site.get_model_admin(model)
        assert not at_stripe & set(of_model.list_display), model
        assert model.__name__ not in ("StripeEvent", "StripeRefund", "StripeDispute") or (
            "id" not in of_model.list_display
        )
    give("usr_1", 10)
    topup = TopUp.objects.get()
    page = staff.get(reverse("admin:wallet_topup_change", args=[topup.pk.replace("_", "_5F")]))
    assert f'<span id="fact-id">{topup.pk}</span>' in page.text
    assert f'<span id="fact-stripe_session_id">{topup.stripe_session_id}</span>' in page.text
    assert 'data-copy="fact-stripe_session_id"' in page.text
    listed = staff.get(list_of(TopUp)).text
    assert f'<code title="{topup.pk}">{middle_cut(topup.pk)}</code>' in listed


def test_rows_are_sorted_by_amount_within_their_currency_and_in_a_stable_order(staff):
    creator = UserFactory.create()
    amounts = [(700, "USD"), (500, "USD"), (900, "EUR"), (700, "USD")]
    made = [tips.record(creator=creator, amount_cents=cents, currency=code).pk for cents, code in amounts]
    place = admin.site.get_model_admin(Tip).list_display.index("gross")
    newest_of_equals = sorted([made[0], made[3]], reverse=True)
    assert found(staff.get(list_of(Tip), {"o": str(place)})) == [made[2], made[1], *newest_of_equals]
    assert found(staff.get(list_of(Tip), {"o": f"-{place}"})) == [made[2], *newest_of_equals, made[1]]


def test_every_list_has_two_lines_on_a_phone_and_the_link_to_the_row_is_in_them(subtests):
    for model in ADMINS:
        of_model: Any = admin.site.get_model_admin(model)
        with subtests.test(model=model._meta.label):
            assert len(of_model.two_lines) == len(change_list.PLACES)
            assert of_model.list_display[0] in of_model.two_lines
            assert set(of_model.two_lines) - {""} <= set(of_model.list_display)


def test_products_and_states_are_written_alike_in_lists_and_on_pages(staff):
    wrote(5, timezone.now())
    charged(3, timezone.now(), product="blog")
    entry = Entry.objects.get(kind="deduct")
    page = staff.get(reverse("admin:wallet_entry_changelist"))
    assert '<td class="field-its_product" data-label="Product">MisarBlog</td>' in page.text
    assert ("blog", "MisarBlog", False) in page.context["cl"].filters[1].choices
    assert "MisarBlog" in staff.get(reverse("admin:wallet_entry_change", args=[quote(entry.pk)])).text
    event = StripeEvent.objects.create(id="evt_1", type="x", state="parked")
    shown = staff.get(reverse("admin:wallet_stripeevent_change", args=[quote(event.pk)])).text
    assert '<span class="tag tag-bad">Parked for staff</span>' in shown
