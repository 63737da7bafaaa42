"""What staff do to service keys: their rights, and the stop of a product."""

import secrets

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from accounts.models import Act, ServiceKey, StoppedProduct
from accounts.service_keys import issue_service_key, revoke_service_key, set_rights, stop_product
from backoffice.overview.links import rows
from tests.backoffice.overviews import attention, behind
from tests.factories import StaffFactory, enter
from tests.html import words
from tests.wallet.granted import grant

pytestmark = pytest.mark.django_db

LIST = reverse("admin:accounts_servicekey_changelist")


def page_of(key, action="change"):
    return reverse(f"admin:accounts_servicekey_{action}", args=[key.pk])


def send(client, key, action, **fields):
    return client.post(page_of(key, action), {"reason": "asked", "key": secrets.token_hex(8)} | fields)


@pytest.fixture
def key(db):
    return issue_service_key(product="blog", rights=["read", "charge", "topup"])[0]


# --- Rights -----------------------------------------------------------------------------------------


def test_a_new_key_gets_the_rights_that_are_checked(staff):
    page = reverse("admin:accounts_servicekey_add")
    form = {"product": "mail", "reason": "new", "key": "k", "rights": ["topup", "read"]}
    assert staff.get(page).text.count(" checked") == 4
    staff.post(page, form)
    key = ServiceKey.objects.get()
    assert key.rights == ["read", "topup"]
    assert Act.objects.get().told == f"Issued {key} with the rights to read and top up."


def test_the_rights_are_in_words_in_the_list_on_the_row_and_in_the_file(staff, key):
    assert "read, charge and top up" in staff.get(LIST).text
    assert "read, charge and top up" in staff.get(page_of(key)).text
    file = staff.get(reverse("admin:accounts_servicekey_csv")).text
    assert '"[""read"", ""charge"", ""topup""]"' in file


def test_rights_change_and_the_act_says_how(staff, key):
    page = staff.get(page_of(key, "rights"))
    assert page.text.count(" checked") == 3
    assert "Charge: take credits for features" in page.text
    assert send(staff, key, "rights", rights=["refund", "charge"]).status_code == 302
    key.refresh_from_db()
    assert key.rights == ["charge", "refund"]
    act = Act.objects.get()
    assert act.told == f"{key}: rights from read, charge and top up to charge and refund."
    assert (act.reason, act.about, act.row_id) == ("asked", "", str(key.pk))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"rights": ["read", "charge", "topup"]}, "nothing would change"),
        ({}, "Choose at least one right."),
        ({"rights": ["give"]}, "Select a valid choice"),
        ({"rights": ["read"], "reason": ""}, "This field is required"),
    ],
)
def test_a_form_that_changes_nothing_is_refused(staff, key, fields, sentence):
    assert sentence in send(staff, key, "rights", **fields).text
    key.refresh_from_db()
    assert key.rights == ["read", "charge", "topup"]
    assert not Act.objects.exists()


def test_a_form_that_a_colleague_overtook_changes_nothing(staff, key):
    opened = staff.get(page_of(key, "rights")).context["form"].initial["opened"]
    set_rights(key, ["read"])
    assert (
        "This was changed after you opened the form"
        in send(staff, key, "rights", rights=["charge"], opened=opened).text
    )
    key.refresh_from_db()
    assert key.rights == ["read"]


def test_a_revoked_key_keeps_its_rights(staff, key):
    revoke_service_key(key)
    assert staff.get(page_of(key, "rights")).status_code == 404
    assert "already revoked" in send(staff, key, "rights", rights=["read"]).text
    assert not Act.objects.exists()


# --- The stop of a product --------------------------------------------------------------------------


def test_a_product_is_stopped_and_goes_on_with_acts_that_name_it(staff, key):
    other = issue_service_key(product="blog")[0]
    assert "Stop this product" in staff.get(page_of(key)).text
    assert staff.get(page_of(key, "go-on")).status_code == 404
    form = staff.get(page_of(key, "stop"))
    assert dict(form.context["facts"]) == {"Product": "blog", "Usable keys": "2", "Stopped": ""}
    assert send(staff, key, "stop").status_code == 302
    assert StoppedProduct.objects.get().pk == "blog"
    # Any key of the product shows the stop and can end it.
    shown = staff.get(page_of(other)).text
    assert "Let this product go on" in shown
    assert "Stop this product" not in shown
    assert send(staff, other, "go-on").status_code == 302
    assert not StoppedProduct.objects.exists()
    acts = list(Act.objects.order_by("pk").values_list("told", "reason", "row_id"))
    assert acts == [
        ("Stopped the product blog.", "asked", str(key.pk)),
        ("Let the product blog go on.", "asked", str(other.pk)),
    ]


def test_what_is_done_already_is_refused_and_leaves_no_act(staff, key):
    assert "This product is not stopped" in send(staff, key, "go-on").text
    stop_product("blog")
    assert "This product is already stopped" in send(staff, key, "stop").text
    assert not Act.objects.exists()


def test_a_product_whose_keys_are_all_revoked_can_be_stopped(staff, key):
    """A new key would charge otherwise."""
    revoke_service_key(key)
    assert send(staff, key, "stop").status_code == 302


def test_the_list_shows_and_filters_what_is_stopped(staff, key):
    mail = issue_service_key(product="mail")[0]
    StoppedProduct.objects.create(product="mail", stopped_at="2026-01-02T03:04:05Z")
    stopped_at = "2 Jan 2026, 03:04:05"
    assert stopped_at in staff.get(LIST).text
    assert f"{stopped_at} UTC" in staff.get(page_of(mail)).text
    assert ">None<" not in staff.get(page_of(key)).text
    for stopped, expected in (("yes", mail), ("no", key)):
        assert list(behind(staff, rows(ServiceKey, stopped=stopped))) == [expected]
    assert behind(staff, f"{LIST}?product__exact=mail").get() == mail
    assert staff.get(LIST, {"stopped": "maybe"}).status_code == 302


def test_the_list_reads_all_stops_in_one_query(staff, key, django_assert_max_num_queries):
    for number in range(20):
        issue_service_key(product=f"product-{number}")
        stop_product(f"product-{number}")
    with django_assert_max_num_queries(8):
        staff.get(LIST)


def test_the_overview_names_stopped_products_while_they_are_stopped(staff, key):
    def lines():
        return [line for line in attention() if "stopped" in line.sentence]

    assert lines() == []
    issue_service_key(product="mail")
    for product in ("mail", "blog"):
        stop_product(product)
    [line] = lines()
    assert line.sentence == "2 products are stopped: mail and blog."
    assert {found.product for found in behind(staff, line.url)} == {"blog", "mail"}
    assert "2 products are stopped" in staff.get("/admin/").text
    send(staff, key, "go-on")
    [line] = lines()
    assert line.sentence == "1 product is stopped: mail."


def test_billing_stops_a_product_and_may_not_change_rights(key):
    member = StaffFactory.create(is_superuser=False)
    member.groups.set(Group.objects.filter(name="billing"))
    client = Client()
    enter(client, member)
    assert send(client, key, "rights", rights=["read"]).status_code == 403
    assert send(client, key, "stop").status_code == 302
    member.groups.set(Group.objects.filter(name="support"))
    assert send(client, key, "go-on").status_code == 403
    assert StoppedProduct.objects.exists()


# --- The right to grant -----------------------------------------------------------------------------

LIMITS = {"grant_max": "100", "grant_month_max": "5000"}


def test_a_new_key_that_may_grant_has_both_limits(staff):
    page = reverse("admin:accounts_servicekey_add")
    form = {"product": "mail", "reason": "new", "key": "k", "rights": ["read", "grant"]}
    shown = staff.post(page, form).text
    assert shown.count("A key that may grant needs this limit.") == 2
    assert "Not saved. Please fix the fields below." in shown
    assert not ServiceKey.objects.exists()
    assert staff.post(page, form | LIMITS).status_code == 200  # The page with the secret.
    key = ServiceKey.objects.get()
    assert (key.rights, key.grant_max, key.grant_month_max) == (["read", "grant"], 100, 5000)
    assert Act.objects.get().told == (
        f"Issued {key} with the rights to read and grant; most in one grant 100 credits; most granted in a "
        "month 5,000 credits."
    )


def test_limits_without_the_right_to_grant_are_left_out(staff):
    form = {"product": "mail", "reason": "new", "key": "k", "rights": ["read"]}
    staff.post(reverse("admin:accounts_servicekey_add"), form | LIMITS)
    key = ServiceKey.objects.get()
    assert (key.grant_max, key.grant_month_max) == (None, None)


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({}, "A key that may grant needs this limit."),
        (LIMITS | {"grant_max": ""}, "A key that may grant needs this limit."),
        (LIMITS | {"grant_max": "0"}, "greater than or equal to 1"),
        (LIMITS | {"grant_max": "1000001"}, "less than or equal to 1000000"),
        (LIMITS | {"grant_month_max": "1000000001"}, "less than or equal to 1000000000"),
        (LIMITS | {"grant_month_max": "many"}, "Enter a whole number."),
    ],
)
def test_the_right_to_grant_is_not_given_without_valid_limits(staff, key, limits, sentence):
    answer = send(staff, key, "rights", rights=["read", "grant"], **limits)
    assert answer.status_code == 200
    assert sentence in answer.text
    key.refresh_from_db()
    assert key.rights == ["read", "charge", "topup"]
    assert not Act.objects.exists()


def test_the_limits_change_alone_and_go_with_the_right(staff, key):
    granting = {"rights": ["read", "grant"]}
    assert send(staff, key, "rights", **granting, **LIMITS).status_code == 302
    form = staff.get(page_of(key, "rights")).context["form"]
    assert (form.initial["grant_max"], form.initial["grant_month_max"]) == (100, 5000)
    opened = form.initial["opened"]
    assert send(staff, key, "rights", **granting, **LIMITS | {"grant_max": "50"}).status_code == 302
    assert (
        "This was changed after you opened the form"
        in send(staff, key, "rights", **granting, **LIMITS, opened=opened).text
    )
    assert send(staff, key, "rights", rights=["read"]).status_code == 302
    key.refresh_from_db()
    assert (key.rights, key.grant_max, key.grant_month_max) == (["read"], None, None)
    assert [act.told for act in Act.objects.order_by("pk")] == [
        f"{key}: rights from read, charge and top up to read and grant; most in one grant from nothing to "
        "100 credits; most granted in a month from nothing to 5,000 credits.",
        f"{key}: most in one grant from 100 credits to 50 credits.",
        f"{key}: rights from read and grant to read; most in one grant from 50 credits to nothing; most "
        "granted in a month from 5,000 credits to nothing.",
    ]


def test_the_page_of_a_key_says_what_it_may_grant_and_what_its_product_granted(staff, key):
    assert "Granted this month –" in words(staff.get(page_of(key)))
    set_rights(key, ["grant"], grant_max=100, grant_month_max=5000)
    for credits in (60, 7):
        grant("usr_1", credits, product="blog")
    grant("usr_1", 5, product="mail")
    shown = words(staff.get(page_of(key)))
    assert "Most in one grant 100 credits Most granted in a month 5,000 credits" in shown
    assert "Granted this month 67 credits" in shown
    assert "Rights grant" in shown
    file = staff.get(reverse("admin:accounts_servicekey_csv")).text
    assert ",100,5000," in file
