"""Before staff change a setting, the form says what stands now and what will stand, and changes nothing."""

import secrets

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from accounts import plans
from accounts.models import Act, Plan, PlanChange, User
from accounts.service_keys import issue_service_key
from tests.backoffice.members import filled_in, member_of, signed_in
from tests.factories import UserFactory
from tests.html import words
from wallet.models import Rate, RateChange, Wallet
from wallet.prices import rates

pytestmark = pytest.mark.django_db

HIDDEN = ("reason", "key", "seen", "basis")


@pytest.fixture
def admin():
    return signed_in(member_of("admin"))


def page_of(action, row=None):
    return reverse(f"admin:{action}", args=[] if row is None else [quote(row)])


def opened(browser, page, **fields):
    """The form as the page shows it, with what a staff member changed. It has not shown a preview."""
    form = browser.get(page).context["form"]
    shown = {name: form[name].value() for name in form.fields if name not in HIDDEN}
    sent = {name: value for name, value in shown.items() if value not in (None, False)}
    return sent | {"reason": "As agreed", "key": secrets.token_hex(8)} | fields


def previewed(browser, page, form):
    """Send a form that was just opened. What changes, and the note below that."""
    answer = Client.post(browser, page, form)
    assert answer.status_code == 200, answer
    assert not answer.context["form"].errors
    assert not Act.objects.exists()
    preview = answer.context["form"].preview
    return answer, [(each.label, each.before, each.after) for each in preview.changes], preview.note


def done(browser, page, form, answer, **changed):
    return Client.post(browser, page, form | filled_in(answer) | changed)


def test_a_price_is_shown_before_it_is_changed(admin, article_rate):
    rate = Rate.objects.get(feature=article_rate)
    before, changes_before = (rate.label, rate.credits), RateChange.objects.count()
    page = page_of("wallet_rate_set", rate.pk)
    form = opened(admin, page, credits="2")
    answer, changes, note = previewed(admin, page, form)
    assert changes == [("price", "1 credit", "2 credits")]
    assert note == "From the next charge on. Earlier charges stay as they are."
    assert f"What will change Price 1 credit → to 2 credits {note}" in words(answer)
    rate.refresh_from_db()
    assert (rate.label, rate.credits) == before
    assert RateChange.objects.count() == changes_before
    other = done(admin, page, form, answer, credits="3")
    assert [each.after for each in other.context["form"].preview.changes] == ["3 credits"]
    assert done(admin, page, form, answer).status_code == 302
    assert Rate.objects.get(pk=rate.pk).credits == 2
    assert Act.objects.get().told == f"{article_rate}: price from 1 credit to 2 credits."


def test_a_price_that_a_colleague_changes_after_the_preview_stays(admin, article_rate):
    rate = Rate.objects.get(feature=article_rate)
    page = page_of("wallet_rate_set", rate.pk)
    form = opened(admin, page, credits="2")
    answer, *_ = previewed(admin, page, form)
    rates.set_rate(feature=rate.feature, label=rate.label, credits=7, unit=rate.unit, actor="user:staff:bo")
    refused = done(admin, page, form, answer)
    assert "This was changed after you opened the form" in words(refused)
    assert Rate.objects.get(pk=rate.pk).credits == 7
    assert not Act.objects.exists()


def test_a_new_price_has_nothing_that_stood_before(admin):
    page = page_of("wallet_rate_add")
    form = opened(admin, page, feature="blog.new", label="New", credits="4", unit="article")
    answer, changes, _ = previewed(admin, page, form)
    assert ("price", None, "4 credits") in changes
    assert "Feature blog.new Label New Price 4 credits Unit article State in use" in words(answer)
    assert not Rate.objects.filter(feature="blog.new").exists()
    assert done(admin, page, form, answer).status_code == 302
    assert Rate.objects.get(feature="blog.new").credits == 4


def test_a_plan_is_shown_before_it_is_changed(admin):
    page = page_of("accounts_plan_set", "pro")
    form = opened(admin, page, fee_bps="350", key_limit="")
    answer, changes, note = previewed(admin, page, form)
    assert changes[0] == ("fee", "4.00%", "3.50%")
    assert note == "From the next tip on. Earlier tips keep their fee."
    assert Plan.objects.get(pk="pro").fee_bps == 400
    assert not PlanChange.objects.filter(actor__startswith="user:").exists()
    assert done(admin, page, form, answer).status_code == 302
    assert Plan.objects.get(pk="pro").fee_bps == 350


def test_a_users_plan_is_shown_before_it_is_changed(admin):
    user = UserFactory.create(misar_id="usr_1")
    page = page_of("accounts_user_plan", user.pk)
    form = opened(admin, page, plan="max")
    answer, changes, _ = previewed(admin, page, form)
    assert changes == [("plan", "Free (fee 5.00%)", "Max (fee 3.00%)")]
    assert done(admin, page, form, answer).status_code == 302
    assert User.objects.get(pk=user.pk).plan_id == "max"


def test_a_plan_whose_fee_is_changed_after_the_preview_is_shown_again(admin):
    user = UserFactory.create(misar_id="usr_1")
    page = page_of("accounts_user_plan", user.pk)
    form = opened(admin, page, plan="max")
    answer, *_ = previewed(admin, page, form)
    plans.set_plan(slug="max", name="Max", fee_bps=2000, key_limit=None, actor="user:staff:bo")
    again = done(admin, page, form, answer)
    assert "The fee of this plan was changed since you saw what would change" in words(again)
    assert again.context["form"].preview.changes[0].after == "Max (fee 20.00%)"
    assert User.objects.get(pk=user.pk).plan_id == "free"
    assert done(admin, page, form, again).status_code == 302
    assert User.objects.get(pk=user.pk).plan_id == "max"


def test_a_wallet_is_frozen_after_a_preview_and_goes_on_after_another(give, admin):
    give("usr_1", 28)
    for action, before, after in (("freeze", "accepted", "refused"), ("go-on", "refused", "accepted")):
        page = page_of(f"wallet_wallet_{action}", "usr_1")
        form = opened(admin, page)
        answer = Client.post(admin, page, form)
        [change] = answer.context["form"].preview.changes
        assert (change.label, change.before, change.after) == ("charges and holds", before, after)
        assert Wallet.objects.get(pk="usr_1").frozen == (before == "refused")
        assert done(admin, page, form, answer).status_code == 302
        assert Wallet.objects.get(pk="usr_1").frozen == (after == "refused")
    refused = Client.post(admin, page, opened_again(form))
    assert "This wallet is not frozen" in words(refused)


def opened_again(form):
    return form | {"key": secrets.token_hex(8)}


def test_a_wallet_that_is_not_there_gets_none_by_a_preview(admin):
    answer = Client.post(admin, page_of("wallet_wallet_freeze", "usr_9"), {"reason": "x", "key": "k"})
    assert answer.context["form"].preview.changes[0].after == "refused"
    assert not Wallet.objects.exists()


def test_the_rights_and_limits_that_were_chosen_stand_in_the_form_below_the_preview(admin):
    key, _ = issue_service_key(product="blog", rights=["read", "charge"])
    page = page_of("accounts_servicekey_rights", key.pk)
    limits = {"grant_max": "10", "grant_month_max": "100"}
    form = opened(admin, page, rights=["read", "refund", "grant"], **limits)
    answer, changes, _ = previewed(admin, page, form)
    assert changes == [
        ("rights", "read and charge", "read, refund and grant"),
        ("most in one grant", "", "10 credits"),
        ("most granted in a month", "", "100 credits"),
    ]
    assert "Most in one grant none → to 10 credits" in words(answer)
    assert answer.context["form"]["rights"].value() == ["read", "refund", "grant"]
    assert answer.text.count(" checked") == 3
    key.refresh_from_db()
    assert key.rights == ["read", "charge"]
    assert done(admin, page, form, answer).status_code == 302
    key.refresh_from_db()
    assert (key.rights, key.grant_max) == (["read", "refund", "grant"], 10)


def test_access_is_shown_before_it_is_changed(admin):
    user = UserFactory.create(misar_id="usr_1")
    roles = [Group.objects.get(name=name).pk for name in ("support", "billing")]
    page = page_of("accounts_user_access", user.pk)
    form = opened(admin, page, is_staff="on", groups=roles)
    answer, changes, _ = previewed(admin, page, form)
    assert changes == [("back-office", "shut", "open"), ("roles", "none", "billing and support")]
    assert answer.text.count(" checked") == 4
    assert not User.objects.get(pk="usr_1").is_staff
    assert done(admin, page, form, answer).status_code == 302
    assert User.objects.get(pk="usr_1").groups.count() == 2


def test_a_setting_that_stays_as_it_is_has_no_preview(admin, article_rate):
    page = page_of("wallet_rate_set", Rate.objects.get(feature=article_rate).pk)
    answer = Client.post(admin, page, opened(admin, page))
    assert answer.context["form"].preview is None
    assert answer.context["form"].non_field_errors()
