"""The lists and actions of the wallet: staff may view everything, and move credits with a reason only."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from accounts.models import Act
from tests.factories import StaffFactory, enter
from wallet.books.funds import available_of
from wallet.models import Entry, Rate, RateChange, StripeEvent, Wallet
from wallet.prices import rates

READ_ONLY = ["wallet", "entry", "topup", "stripeevent", "ratechange"]


@pytest.fixture
def funded(give):
    """A wallet with 10 credits."""
    give("usr_ada", 10)
    return Wallet.objects.get(pk="usr_ada")


def adjust_page(user_id: str) -> str:
    return reverse("admin:wallet_wallet_adjust", args=[user_id])


def adjustment(page, **changes):
    """The data that the shown form would send."""
    key = page.context["form"].initial["key"]
    return {"credits": "5", "reason": "asked by mail", "key": key} | changes


@pytest.mark.parametrize("model", [*READ_ONLY, "rate"])
def test_every_list_opens(staff, funded, model, deliver, checkout_event):
    deliver(checkout_event())
    assert staff.get(reverse(f"admin:wallet_{model}_changelist")).status_code == 200


@pytest.mark.parametrize("model", READ_ONLY)
def test_nothing_can_be_added_by_hand(staff, model):
    page = reverse(f"admin:wallet_{model}_add")
    assert staff.get(page).status_code == 403
    assert staff.post(page, {"credits": 5}).status_code == 403


def test_no_row_of_history_can_be_edited_or_deleted(staff, funded):
    entry = Entry.objects.get()
    for action in ("change", "delete"):
        page = reverse(f"admin:wallet_entry_{action}", args=[entry.pk])
        assert staff.post(page, {"credits": "999", "post": "yes"}).status_code == 403
    assert Entry.objects.get().credits == 10


def test_a_user_a_key_and_a_session_find_their_entries(staff, funded, as_service, article_rate):
    as_service.deduct("usr_ada", idempotency_key="article:1")
    session = Entry.objects.get(kind="topup").stripe_session_id
    for term, found in (("usr_ada", 2), ("article:1", 1), (session, 1), ("usr_unknown", 0)):
        page = staff.get(reverse("admin:wallet_entry_changelist"), {"q": term})
        assert page.context["cl"].result_count == found


def test_an_adjustment_writes_an_entry_and_an_act_with_its_reason(staff, funded):
    page = staff.get(adjust_page("usr_ada"))
    answer = staff.post(adjust_page("usr_ada"), adjustment(page))
    assert answer.status_code == 302
    entry = Entry.objects.get(kind="adjustment")
    member = Act.objects.get().staff
    assert (entry.credits, entry.balance_after, entry.reason) == (5, 15, "asked by mail")
    assert entry.actor == f"user:{member.pk}"
    assert "asked by mail" in Act.objects.get().reason


def test_the_same_form_sent_twice_moves_credits_once(staff, funded):
    form = adjustment(staff.get(adjust_page("usr_ada")))
    for _ in range(2):
        assert staff.post(adjust_page("usr_ada"), form).status_code == 302
    assert available_of("usr_ada") == 15


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"credits": "0"}, "Enter a number other than 0"),
        ({"credits": "-11"}, "has 10 credits available"),
        ({"credits": "100001"}, "At most 100,000 credits"),
        ({"credits": "2.5"}, "whole number"),
        ({"credits": ""}, "required"),
        ({"reason": " "}, "required"),
        ({"key": ""}, "required"),
    ],
)
def test_an_adjustment_that_makes_no_sense_moves_nothing(staff, funded, change, sentence):
    page = staff.get(adjust_page("usr_ada"))
    answer = staff.post(adjust_page("usr_ada"), adjustment(page, **change))
    assert answer.status_code == 200
    assert sentence in answer.text
    assert available_of("usr_ada") == 10


def test_staff_without_permission_neither_see_nor_reach_the_form(client, funded):
    looker = StaffFactory.create(misar_id="staff:looker", is_superuser=False)
    looker.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    enter(client, looker)
    page = client.get(reverse("admin:wallet_wallet_change", args=["usr_ada"]))
    assert "Adjust the balance" not in page.text
    assert client.get(adjust_page("usr_ada")).status_code == 403
    body = {"credits": "5", "reason": "x", "key": "k"}
    assert client.post(adjust_page("usr_ada"), body).status_code == 403
    assert available_of("usr_ada") == 10


def test_a_stranger_is_sent_to_sign_in(client, funded):
    assert client.get(adjust_page("usr_ada")).status_code == 302


def test_a_wallet_id_with_odd_characters_has_its_page(staff, give):
    odd = "usr/_a?b&c <i>"
    give(odd, 10)
    changelist = staff.get(reverse("admin:wallet_wallet_changelist"))
    assert "<i>" not in changelist.text
    page = staff.get(reverse("admin:wallet_wallet_adjust", args=["usr_2F_5Fa_3Fb_26c _3Ci_3E"]))
    assert page.status_code == 200


def test_a_charge_is_given_back_with_a_reason(staff, funded, as_service, article_rate):
    as_service.deduct("usr_ada", count=4)
    charge = Entry.objects.get(kind="deduct")
    url = reverse("admin:wallet_entry_give-back", args=[charge.pk])
    key = staff.get(url).context["form"].initial["key"]
    assert staff.post(url, {"credits": "5", "reason": "failed", "key": key}).status_code == 200
    assert available_of("usr_ada") == 6
    assert staff.post(url, {"credits": "", "reason": "failed", "key": key}).status_code == 302
    assert available_of("usr_ada") == 10


def test_only_a_charge_can_be_given_back(staff, funded):
    topup = Entry.objects.get()
    assert staff.get(reverse("admin:wallet_entry_give-back", args=[topup.pk])).status_code == 404


def test_a_parked_event_can_be_handled_again_once_the_cause_is_gone(staff, deliver, checkout_event, settings):
    settings.STRIPE_SECRET_KEY = "sk_live_x"
    deliver(checkout_event(user_id="usr_ada"))
    event = StripeEvent.objects.get()
    assert event.state == "parked"
    settings.STRIPE_SECRET_KEY = "sk_test_x"
    url = reverse("admin:wallet_stripeevent_replay", args=[event.pk])
    key = staff.get(url).context["form"].initial["key"]
    assert staff.post(url, {"reason": "key was wrong", "key": key}).status_code == 302
    assert available_of("usr_ada") == 25
    assert StripeEvent.objects.get().state == "handled"


def test_a_price_is_changed_and_every_setting_is_kept(staff):
    add = reverse("admin:wallet_rate_add")
    body = {"feature": "reach.post", "label": "Post", "credits": "2", "unit": "post", "active": "on"}
    body |= {"reason": "a new product", "key": "k1"}
    assert staff.post(add, body).status_code == 302
    rate = Rate.objects.get(feature="reach.post")
    assert Act.objects.latest("pk").told == "Priced reach.post: 2 credits for each post; in use."
    page = reverse("admin:wallet_rate_set", args=[rate.pk])
    shown = staff.get(page).context["form"].initial
    assert (shown["label"], shown["credits"], shown["unit"], shown["active"]) == ("Post", 2, "post", True)
    changed = {"credits": "3", "feature": "renamed", "key": "k2", "opened": shown["opened"]}
    assert staff.post(page, body | changed).status_code == 302
    assert Act.objects.latest("pk").told == "reach.post: price from 2 credits to 3 credits."
    assert rates.price("reach.post", 1) == 3
    settings_kept = RateChange.objects.filter(feature="reach.post").order_by("pk")
    assert [change.credits for change in settings_kept] == [2, 3]
    assert settings_kept[0].actor.startswith("user:staff:")
    assert staff.post(reverse("admin:wallet_rate_delete", args=[rate.pk]), {"post": "yes"}).status_code == 403


def test_hostile_text_shows_as_text(staff, deliver, checkout_event):
    hostile = "<script>alert(1)</script>"
    deliver(
        checkout_event(
            user_id=hostile, metadata={"type": "wallet_topup", "user_id": hostile, "product": hostile}
        )
    )
    for model in ("wallet", "entry", "topup"):
        page = staff.get(reverse(f"admin:wallet_{model}_changelist"))
        assert hostile not in page.text
        assert "&lt;script&gt;" in page.text


def test_a_used_form_with_other_content_is_refused_and_logged_once(staff, funded):
    form = adjustment(staff.get(adjust_page("usr_ada")))
    for _ in range(2):
        staff.post(adjust_page("usr_ada"), form)
    answer = staff.post(adjust_page("usr_ada"), form | {"credits": "-3"})
    assert "This form was used already" in answer.text
    assert available_of("usr_ada") == 15
    assert Act.objects.count() == 1


def test_a_user_without_a_wallet_can_be_given_credits(staff):
    listed = staff.get(reverse("admin:wallet_wallet_changelist"), {"q": "usr_new"})
    assert adjust_page("usr_5Fnew") in listed.text
    page = staff.get(adjust_page("usr_5Fnew"))
    assert staff.post(adjust_page("usr_5Fnew"), adjustment(page)).status_code == 302
    assert available_of("usr_new") == 5


def test_a_feature_that_the_api_cannot_name_gets_no_price(staff):
    body = {"feature": "a\u202eb", "label": "x", "credits": "1", "unit": "x", "active": "on"}
    body |= {"reason": "a trick", "key": "k1"}
    assert "Printable characters only" in staff.post(reverse("admin:wallet_rate_add"), body).text


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"feature": "a\u200cb"}, "Printable characters only."),
        ({"feature": "\u3164"}, "Use at least one character that shows."),
        ({"label": "\u3164\u2800"}, "Use at least one character that shows."),
        ({"label": "a\u202eb"}, "Printable characters only."),
        ({"unit": "\u0301"}, "Use at least one character that shows."),
        ({"reason": "\u200b\u3164"}, "Use at least one character that shows."),
        ({"reason": "a\tb"}, "Printable characters only."),
    ],
)
def test_a_text_of_staff_follows_the_rule_of_the_api(staff, change, sentence):
    answer = staff.post(
        reverse("admin:wallet_rate_add"), RATE | {"feature": "new.one", "credits": "9"} | change
    )
    assert sentence in answer.text
    assert not Rate.objects.filter(credits=9).exists()


def test_staff_write_in_any_script(staff):
    body = RATE | {
        "feature": "new.🩷",
        "credits": "9",
        "label": "می‌خواهم",
        "reason": "👩‍🚀 asked\r\n\r\ntwice",
    }
    assert staff.post(reverse("admin:wallet_rate_add"), body).status_code == 302
    assert Rate.objects.get(credits=9).label == "می‌خواهم"


def test_a_nul_in_an_address_is_a_bad_request(staff):
    assert staff.get("/admin/wallet/wallet/a%00b/change/").status_code == 400
    assert staff.get("/admin/wallet/entry/?kind__exact=%00").status_code == 400


RATE = {"label": "Generate an article", "unit": "article", "active": "on", "reason": "asked for", "key": "k1"}


def test_a_feature_is_priced_once(staff):
    body = RATE | {"feature": "mail.send", "credits": "9"}
    answer = staff.post(reverse("admin:wallet_rate_add"), body)
    assert "mail.send has a price already" in answer.text
    assert rates.price("mail.send", 1) == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"credits": "0"}, "greater than or equal to 1"),
        ({"credits": "1000000001"}, "less than or equal to 1000000000"),
        ({"credits": "1"}, "nothing would change"),
        ({"credits": "2", "reason": ""}, "required"),
    ],
)
def test_a_price_that_makes_no_sense_is_not_set(staff, change, sentence):
    rate = Rate.objects.get(feature="blog.article.generate")
    answer = staff.post(reverse("admin:wallet_rate_set", args=[rate.pk]), RATE | change)
    assert sentence in answer.text
    assert RateChange.objects.filter(feature=rate.feature).count() == 1


def test_the_second_of_two_changes_of_one_price_is_refused(staff):
    rate = Rate.objects.get(feature="blog.article.generate")
    page = reverse("admin:wallet_rate_set", args=[rate.pk])
    opened = staff.get(page).context["form"].initial["opened"]
    assert staff.post(page, RATE | {"credits": "2", "opened": opened}).status_code == 302
    answer = staff.post(page, RATE | {"credits": "3", "opened": opened, "key": "k2"})
    assert "This was changed after you opened the form" in answer.text
    assert rates.price(rate.feature, 1) == 2


def test_the_act_says_that_a_price_is_withdrawn(staff):
    rate = Rate.objects.get(feature="blog.article.generate")
    body = {name: value for name, value in RATE.items() if name != "active"} | {"credits": "1"}
    assert staff.post(reverse("admin:wallet_rate_set", args=[rate.pk]), body).status_code == 302
    assert Act.objects.get().told == "blog.article.generate: state from in use to withdrawn."
