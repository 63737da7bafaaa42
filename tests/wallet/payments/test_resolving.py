"""What no event can credit, staff resolve by hand; and then nothing else credits it (contract 13)."""

import json
from datetime import timedelta
from functools import partial
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from accounts.models import Act
from tests.backoffice.members import signed_in
from tests.crowd import outcomes_at_once, patiently, wallet_locked_by_another
from tests.factories import StaffFactory
from tests.wallet import by_hand
from tests.wallet.resting import resting_triggers
from wallet.books.funds import available_of
from wallet.errors import NotToResolve
from wallet.models import Entry, Payment, StripeEvent, TopUp
from wallet.payments import checkout, inbox, sessions, settlement
from wallet.payments.reconciliation.walk import Walk

pytestmark = pytest.mark.django_db


def resolve(event, *, credits=None, user_id="usr_1", key="form-1", reason="Looked at Stripe"):
    return by_hand.resolve(
        event, user_id=user_id, credits=credits, reason=reason, key=key, actor="user:staff:ada"
    )


@pytest.fixture
def parked(deliver, checkout_event):
    """A payment in euros, which no event can credit."""
    deliver(checkout_event(currency="eur"))
    return StripeEvent.objects.get()


@pytest.fixture
def good_again(checkout_event):
    """Another event of the same session, as Stripe would send it once all were well."""
    return checkout_event(event_id="evt_later", type="checkout.session.async_payment_succeeded")


# --- What it does -------------------------------------------------------------------------------------


def test_a_parked_event_is_closed_and_keeps_why_it_was_parked(parked):
    assert parked.user_id == "usr_1"
    resolved = resolve(parked)
    assert (resolved.state, resolved.traceback) == ("resolved", "")
    assert resolved.handled_at
    assert resolved.remark == "The payment is not in US dollars. Resolved by hand: Looked at Stripe"
    assert not Entry.objects.exists()


def test_its_credits_are_an_adjustment_that_names_the_session(parked):
    resolved = resolve(parked, credits=27)
    entry = Entry.objects.get()
    assert (entry.kind, entry.credits, entry.wallet_id) == ("adjustment", 27, "usr_1")
    assert (entry.stripe_session_id, entry.actor) == ("cs_test_1", "user:staff:ada")
    assert "Resolved by hand, with 27 credits for usr_1: Looked at Stripe" in resolved.remark


@pytest.mark.django_db(transaction=True)
def test_an_event_whose_effect_failed_can_be_resolved_and_one_that_waits_cannot(
    give, deliver, checkout_event
):
    give("usr_1", 5)
    with wallet_locked_by_another("usr_1"):
        assert deliver(checkout_event()).status_code == 503
    event = StripeEvent.objects.get()
    assert event.state == "waiting"
    assert resolve(event, credits=25).state == "resolved"
    waiting = StripeEvent.objects.create(id="evt_new", type="checkout.session.completed", payload="{}")
    with pytest.raises(NotToResolve):
        resolve(waiting)


@pytest.mark.parametrize("state", ["handled", "ignored", "resolved"])
def test_what_is_not_parked_is_not_resolved(parked, state):
    StripeEvent.objects.update(state=state)
    with pytest.raises(NotToResolve):
        resolve(parked, credits=25)
    assert not Entry.objects.exists()


def test_what_an_earlier_release_only_stored_can_be_closed(parked):
    StripeEvent.objects.update(state="kept")
    assert resolve(parked).state == "resolved"
    assert not Entry.objects.exists()


def test_no_credits_are_given_for_a_payment_that_came_in(parked, deliver, good_again):
    deliver(good_again)
    with pytest.raises(NotToResolve, match="came in meanwhile"):
        resolve(parked, credits=25)
    assert available_of("usr_1") == 25
    assert resolve(parked).state == "resolved"  # Closed without credits, it moves nothing.


def test_two_events_of_one_payment_give_its_credits_once(parked, deliver, checkout_event):
    later = checkout_event(event_id="evt_2", currency="eur", type="checkout.session.async_payment_succeeded")
    deliver(later)
    resolve(parked, credits=25)
    other = StripeEvent.objects.get(pk="evt_2")
    with pytest.raises(NotToResolve, match="by hand already"):
        resolve(other, credits=25, key="form-2")
    resolve(other)
    assert available_of("usr_1") == 25


def test_an_event_without_a_session_is_resolved_too(deliver, checkout_event):
    deliver(checkout_event(event_id="evt_1", id=None))
    resolve(StripeEvent.objects.get(), credits=25)
    assert available_of("usr_1") == 25


def test_a_top_up_that_waited_for_the_payment_waits_no_longer(deliver, checkout_event, asked_for):
    deliver(checkout_event(currency="eur"))
    TopUp.objects.update(state="pending")
    resolve(StripeEvent.objects.get(), credits=25)
    topup = TopUp.objects.get()
    assert (topup.state, topup.remark) == ("failed", "Its payment was resolved by hand.")


def test_another_users_top_up_waits_no_longer_either(deliver, checkout_event, asked_for):
    TopUp.objects.update(user_id="usr_2")
    deliver(checkout_event())
    event = StripeEvent.objects.get()
    assert "names another user" in event.remark
    resolve(event, credits=25)
    topup = TopUp.objects.get()
    assert topup.state == "failed"
    assert topup.remark == "Its payment was resolved by hand. The credits went to usr_1."


@pytest.mark.parametrize(
    ("credits", "remark"),
    [
        (25, "Its payment was resolved by hand. The credits went to usr_2."),
        (None, "Its payment was resolved by hand."),
    ],
)
def test_no_top_up_waits_for_a_payment_whose_credits_went_to_another_user(
    deliver, checkout_event, asked_for, credits, remark
):
    deliver(checkout_event(currency="eur"))
    TopUp.objects.update(state="pending")
    resolve(StripeEvent.objects.get(), credits=credits, user_id="usr_2")
    topup = TopUp.objects.get()
    assert (topup.state, topup.remark) == ("failed", remark)
    assert checkout.on_their_way("usr_1") == []


# --- Never again --------------------------------------------------------------------------------------


@pytest.mark.parametrize("credits", [None, 25])
def test_no_other_event_of_the_session_credits_it(parked, deliver, good_again, credits):
    resolve(parked, credits=credits)
    deliver(good_again)
    later = StripeEvent.objects.get(pk="evt_later")
    assert later.state == "parked"
    assert later.remark == "This payment was resolved by hand before: it is not credited again."
    assert available_of("usr_1") == (credits or 0)


def test_neither_a_redelivery_nor_a_replay_opens_it_again(parked, deliver, checkout_event):
    resolve(parked, credits=25)
    assert deliver(checkout_event(currency="eur")).status_code == 200
    event = StripeEvent.objects.get()
    inbox.handle(event)
    assert (event.state, event.tries) == ("resolved", 1)
    assert event.state not in inbox.REPLAYABLE
    assert available_of("usr_1") == 25


@pytest.mark.usefixtures("nothing_on_its_way")
def test_reconciliation_finds_nothing_open_and_credits_nothing(stand_in, deliver):
    session_id = stand_in.paid_session(currency="eur")
    for event in stand_in.events(session_id):
        deliver(event)
    since = timezone.now() - timedelta(days=1)
    assert [finding.kind for finding in Walk(since=since).findings()] == ["parked"]
    resolve(StripeEvent.objects.get(state="parked"), credits=20)
    assert list(Walk(since=since, applies=True).findings()) == []
    call_command("reconcile_stripe", "--apply", stdout=StringIO())  # Exit code 0.
    assert available_of("usr_1") == 20


@pytest.mark.usefixtures("nothing_on_its_way")
def test_reconciliation_does_not_credit_what_was_closed_without_credits(
    stand_in, deliver, checkout_event, settings
):
    session_id = stand_in.paid_session()
    settings.STRIPE_SECRET_KEY = "sk_live_set_by_mistake"
    for event in stand_in.events(session_id):
        deliver(event)
    settings.STRIPE_SECRET_KEY = "sk_test_of_the_tests"
    resolve(StripeEvent.objects.get(state="parked"), reason="The payment was refunded")
    since = timezone.now() - timedelta(days=1)
    assert list(Walk(since=since, applies=True).findings()) == []
    assert not Entry.objects.exists()


def test_an_event_that_tells_of_no_payment_does_not_stop_the_one_that_does(
    deliver, checkout_event, good_again
):
    """A payment through a bank: the first event says that it is on its way, the second that it is there."""
    deliver(checkout_event(payment_status="unpaid", currency="eur", livemode=True, event={"livemode": True}))
    first = StripeEvent.objects.get()
    assert first.state == "parked"
    resolve(first)
    deliver(good_again)
    assert available_of("usr_1") == 25


@pytest.mark.parametrize("payload", ["[" * 100_000, "not JSON"], ids=["too deep", "no JSON"])
def test_an_unreadable_event_may_tell_of_the_payment(parked, good_again, deliver, payload):
    with resting_triggers():
        StripeEvent.objects.update(payload=payload)
    resolve(parked)
    deliver(good_again)
    assert StripeEvent.objects.get(pk="evt_later").state == "parked"
    assert not Entry.objects.exists()


# --- At once ------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("known", [True, False], ids=["with our record", "without"])
def test_resolving_and_settling_one_session_at_once_moves_its_credits_once(deliver, checkout_event, known):
    """By hand, by another event, and by reconciliation, which needs no event: the first one wins."""
    for n in range(8):
        session_id = f"cs_test_{n}"
        if known:
            TopUp.objects.create(user_id="usr_1", stripe_session_id=session_id, state="created")
        deliver(checkout_event(session_id=session_id, event_id=f"evt_{n}", currency="eur"))
        event = StripeEvent.objects.get(pk=f"evt_{n}")
        assert event.state == "parked"
        good = checkout_event(session_id=session_id, event_id=f"evt_good_{n}")
        session = good["data"]["object"]
        calls = [
            partial(resolve, event, credits=25, key=f"form-{n}-a"),
            partial(resolve, event, credits=25, key=f"form-{n}-b"),
            partial(patiently, partial(deliver, good)),
            partial(settlement.settle, session, happened_at=timezone.now()),
        ]
        outcomes = outcomes_at_once(calls)
        refusals = [outcome.exception() for outcome in outcomes if outcome.exception()]
        assert all(isinstance(error, NotToResolve | sessions.Parked) for error in refusals), refusals
        assert available_of("usr_1") == 25 * (n + 1)


@pytest.mark.django_db(transaction=True)
def test_one_event_resolved_by_many_at_once_is_resolved_once(parked):
    calls = [partial(resolve, parked, credits=25, key=f"form-{n}") for n in range(8)]
    outcomes = outcomes_at_once(calls)
    assert sum(outcome.exception() is None for outcome in outcomes) == 1
    assert available_of("usr_1") == 25
    assert StripeEvent.objects.get().remark.count("Resolved by hand") == 1


@pytest.mark.django_db(transaction=True)
def test_a_replay_and_a_resolution_at_once_leave_one_of_them(deliver, checkout_event, settings):
    settings.STRIPE_SECRET_KEY = "sk_live_set_by_mistake"
    deliver(checkout_event())
    settings.STRIPE_SECRET_KEY = "sk_test_of_the_tests"
    event = StripeEvent.objects.get()

    replay = partial(inbox.handle, StripeEvent.objects.get())
    outcomes = outcomes_at_once([partial(resolve, event, credits=25), replay])
    assert {type(outcome.exception()) for outcome in outcomes} <= {type(None), NotToResolve}
    event.refresh_from_db()
    assert event.state in ("handled", "resolved")
    assert available_of("usr_1") == 25


# --- In the back-office -------------------------------------------------------------------------------


@pytest.fixture
def staff(db):
    return signed_in(StaffFactory.create())


@pytest.fixture
def send(staff, parked):
    """Open the form of the parked event and send it."""

    def sent(**fields):
        page = reverse("admin:wallet_stripeevent_resolve", args=[parked.pk])
        key = staff.get(page).context["form"].initial["key"]
        return staff.post(page, {"reason": "Looked at Stripe", "key": key} | fields)

    return sent


def test_staff_resolve_it_with_a_reason(send, parked):
    answer = send(credits="27", user_id="usr_1")
    assert answer.status_code == 302
    assert available_of("usr_1") == 27
    assert Act.objects.get().told == "Resolved by hand; 27 credits went to usr_1."
    parked.refresh_from_db()
    assert parked.state == "resolved"


def test_staff_resolve_it_without_credits(send):
    assert send(credits="", user_id="usr_1").status_code == 302
    assert Act.objects.get().told == "Resolved by hand; no credits were given."
    assert not Entry.objects.exists()


def test_the_form_offers_the_user_that_the_event_names(staff, parked):
    page = staff.get(reverse("admin:wallet_stripeevent_resolve", args=[parked.pk]))
    assert page.context["form"].initial["user_id"] == "usr_1"
    assert "not in US dollars" in page.text


def test_an_event_without_a_user_belongs_to_the_user_who_got_its_credits(staff, deliver, checkout_event):
    deliver(checkout_event(metadata={"type": "wallet_topup"}))
    event = StripeEvent.objects.get()
    page = reverse("admin:wallet_stripeevent_resolve", args=[event.pk])
    form = {"reason": "They sent the receipt", "key": "k", "credits": "25", "user_id": "usr_7"}
    assert staff.post(page, form).status_code == 302
    assert Act.objects.get().about == "usr_7"
    assert available_of("usr_7") == 25


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"credits": "0"}, "greater than or equal to 1"),
        ({"credits": "-5"}, "greater than or equal to 1"),
        ({"credits": "100001", "user_id": "usr_1"}, "At most 100,000 credits"),
        ({"credits": "5", "user_id": ""}, "the Misar ID of the user who gets the credits"),
        ({"credits": "5", "user_id": "a\u202eb"}, "the Misar ID of the user who gets the credits"),
        ({"reason": " "}, "required"),
    ],
)
def test_what_makes_no_sense_resolves_nothing(send, parked, fields, said):
    assert said in send(**fields).text
    parked.refresh_from_db()
    assert parked.state == "parked"
    assert not Entry.objects.exists()


def test_a_replay_that_fails_again_is_an_act_too(staff, deliver, checkout_event):
    deliver(checkout_event())
    broken = json.dumps(checkout_event(event={"data": {"object": {}}}) | {"type": "unheard.of"})
    with resting_triggers():
        StripeEvent.objects.update(state="waiting", payload=broken)
    page = reverse("admin:wallet_stripeevent_replay", args=[StripeEvent.objects.get().pk])
    key = staff.get(page).context["form"].initial["key"]
    assert staff.post(page, {"reason": "once more", "key": key}).status_code == 302
    assert Act.objects.get().told == "It failed again. The event shows the traceback."
    event = StripeEvent.objects.get()
    assert (event.state, event.tries) == ("waiting", 2)
    assert "KeyError" in event.traceback


def test_a_replay_of_what_was_resolved_meanwhile_is_refused(staff, parked):
    page = reverse("admin:wallet_stripeevent_replay", args=[parked.pk])
    key = staff.get(page).context["form"].initial["key"]
    resolve(parked)
    answer = staff.post(page, {"reason": "once more", "key": key})
    assert "resolved by hand meanwhile" in answer.text
    assert staff.get(page).status_code == 404
    assert not Act.objects.exists()


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        ("[" * 100_000, "[[[["),
        ('{"data": ' + "9" * 5000 + "}", "9999"),
        ("not JSON", "not JSON"),
        (
            '{"data": {"object": {"customer": "\\ud800 x", "deep": ' + "[" * 500 + "]" * 500 + "}}}",
            "\\ud800 x",
        ),
        ('{"data": {"object": {"customer": "\\ud800 x"}}}', "\\ud800 x"),
    ],
    ids=["too deep", "too long a number", "no JSON", "too deep to lay out", "half a character"],
)
def test_an_event_that_cannot_be_read_has_its_pages_all_the_same(staff, parked, payload, shown):
    with resting_triggers():
        StripeEvent.objects.update(payload=payload)
    for name in ("change", "resolve", "replay"):
        answer = staff.get(reverse(f"admin:wallet_stripeevent_{name}", args=[parked.pk]))
        assert answer.status_code == 200
        if name == "change":
            assert shown in answer.text
        else:
            assert ("Stripe says", "") in answer.context["facts"]


def test_a_late_event_of_an_unpaid_session_makes_no_top_up_wait(parked, deliver, checkout_event):
    resolve(parked, credits=27)
    late = checkout_event(event_id="evt_late", payment_status="unpaid")
    assert deliver(late).status_code == 200
    assert StripeEvent.objects.get(pk="evt_late").remark == "Its payment was resolved by hand."
    assert not TopUp.objects.exists()


@pytest.mark.parametrize("credits", [27, None])
def test_another_session_of_the_same_payment_intent_is_for_staff_too(
    parked, deliver, checkout_event, credits
):
    """The money came once. And a refund of it would be told of the session that staff decided about."""
    resolve(parked, credits=credits)
    deliver(checkout_event("cs_test_2", payment_intent=parked.payment_intent_id))
    event = StripeEvent.objects.get(stripe_session_id="cs_test_2")
    assert (event.state, event.remark) == ("parked", settlement.RESOLVED)
    assert available_of("usr_1") == (credits or 0)
    assert not Payment.objects.filter(pk="cs_test_2").exists()
