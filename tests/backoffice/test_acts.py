"""An act is written once, together with its effect, and never changes."""

import secrets
from functools import partial

import pytest
from django.contrib.admin.utils import quote
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.urls import reverse

from accounts import actors
from accounts.models import Act, User
from backoffice.actions import acts
from backoffice.actions.acts import Done
from foundation.errors import KeyReused
from tests.backoffice.members import StaffBrowser, ready, signed_in
from tests.crowd import at_once, outcomes_at_once
from tests.factories import StaffFactory, UserFactory, enter
from wallet.books import ledger
from wallet.books.funds import available_of
from wallet.charges import adjustments
from wallet.errors import InsufficientCredits
from wallet.models import Entry, Wallet

# The entries here have keys of their own, to show that the form's key alone lets an act run once.
pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_books]

KEY = secrets.token_hex(16)


def page_of(user_id="usr_1"):
    return reverse("admin:wallet_wallet_adjust", args=[quote(user_id)])


def form(**changes):
    return {"credits": "5", "reason": "asked by mail", "key": KEY} | changes


def another_member():
    return signed_in(StaffFactory.create())


def perform(staff, *, run, form_key=KEY, reason="asked by mail", label="Adjust the balance", **fields):
    return acts.perform(
        staff=staff,
        permission="wallet.adjust_wallet",
        page="/admin/wallet/wallet/usr_1/adjust/",
        verb="adjust",
        label=label,
        reason=reason,
        form_key=form_key,
        form_data={name: [value] for name, value in fields.items()},
        run=run,
    )


def give_five(staff):
    adjustments.adjust(
        user_id="usr_1", credits=5, reason="x", key=secrets.token_hex(8), actor=actors.actor_of(staff)
    )
    return Done(ledger.unopened("usr_1"), "Gave 5.", "usr_1")


# --- What is written ----------------------------------------------------------------------------------


def test_an_act_says_who_did_what_to_which_row_and_user_and_why(staff):
    staff.post(page_of("usr/odd"), form())
    act = Act.objects.get()
    assert (act.verb, act.label, act.told) == (
        "adjust",
        "Adjust the balance",
        "Adjusted by +5 credits to 5.",
    )
    assert (act.model, act.row_id, act.about, act.reason) == (
        "wallet.wallet",
        "usr/odd",
        "usr/odd",
        "asked by mail",
    )
    assert act.staff.is_staff
    assert list(acts.about_user("usr/odd")) == [act]
    assert list(acts.on_row(Wallet.objects.get())) == [act]


def test_an_act_is_shown_on_the_page_of_its_row(staff):
    staff.post(page_of(), form(reason="<i>because</i>"))
    shown = staff.get(reverse("admin:wallet_wallet_change", args=[quote("usr_1")])).text
    assert "Adjusted by +5 credits to 5." in shown
    assert "&lt;i&gt;because&lt;/i&gt;" in shown
    assert "<i>because</i>" not in shown


# --- Once ---------------------------------------------------------------------------------------------


def test_the_same_form_is_the_same_act(staff):
    answers = [staff.post(page_of(), form()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [302] * 3
    assert Act.objects.count() == Entry.objects.count() == 1


@pytest.mark.parametrize("change", [{"credits": "6"}, {"credits": "-5"}, {"reason": "another"}])
def test_a_used_form_with_other_content_is_refused(staff, change):
    staff.post(page_of(), form())
    assert "This form was used already" in staff.post(page_of(), form(**change)).text
    assert Act.objects.count() == Entry.objects.count() == 1


def test_a_used_form_on_the_page_of_another_row_is_refused(staff):
    staff.post(page_of(), form())
    assert "This form was used already" in staff.post(page_of("usr_2"), form()).text
    assert available_of("usr_2") == 0


def test_the_same_key_in_the_form_of_another_member_is_another_act(staff):
    """Form keys count for each staff member."""
    staff.post(page_of(), form())
    answer = another_member().post(page_of("usr_2"), form())
    assert answer.status_code == 302
    assert Act.objects.values("staff").distinct().count() == 2
    assert (available_of("usr_1"), available_of("usr_2")) == (5, 5)


def test_one_form_sent_by_two_members_is_the_act_of_the_first(staff):
    """The ledger knows the key: the act of one member does not become the act of another."""
    staff.post(page_of(), form())
    assert "This form was used already" in another_member().post(page_of(), form()).text
    assert available_of("usr_1") == 5
    assert Act.objects.count() == 1


def test_the_csrf_token_is_not_part_of_a_forms_content(staff):
    staff.post(page_of(), form(csrfmiddlewaretoken="a"))
    assert staff.post(page_of(), form(csrfmiddlewaretoken="b")).status_code == 302


@pytest.mark.parametrize("key", ["", "k" * 65])
def test_a_form_without_its_key_does_nothing(staff, key):
    assert staff.post(page_of(), form(key=key)).status_code == 200
    assert not Entry.objects.exists()


def test_a_refused_form_can_be_corrected_and_sent_again(staff):
    assert "has 0 credits available" in staff.post(page_of(), form(credits="-5")).text
    assert staff.post(page_of(), form(credits="5")).status_code == 302
    assert Act.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_form_sent_many_times_at_once_is_one_act():
    member = StaffFactory.create()
    clients = [StaffBrowser() for _ in range(6)]
    for client in clients:
        enter(client, member)
    answers = at_once([ready(client, page_of(), form()) for client in clients])
    assert {answer.status_code for answer in answers} == {302}
    assert Act.objects.count() == Entry.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_form_sent_at_once_with_several_contents_is_one_act():
    member = StaffFactory.create()
    calls = [partial(perform, member, run=partial(give_five, member), credits=str(n)) for n in range(4)]
    outcomes = outcomes_at_once(calls)
    refused = [outcome.exception() for outcome in outcomes if outcome.exception()]
    assert [type(error) for error in refused] == [KeyReused] * 3
    assert Act.objects.count() == Entry.objects.count() == 1


# --- Together with its effect -------------------------------------------------------------------------


def test_an_action_that_fails_leaves_no_act():
    member = StaffFactory.create()

    def fails():
        give_five(member)
        raise InsufficientCredits(available=0, required=1)

    with pytest.raises(InsufficientCredits):
        perform(member, run=fails)
    assert not Act.objects.exists()
    assert not Entry.objects.exists()


def test_an_act_that_cannot_be_written_leaves_no_effect():
    member = StaffFactory.create()
    with pytest.raises(DatabaseError), transaction.atomic():
        perform(member, run=partial(give_five, member), label="x" * 81)
    assert not Entry.objects.exists()
    with pytest.raises(DatabaseError, match="NUL"), transaction.atomic():
        perform(member, run=partial(give_five, member), reason="a\0b")
    assert not Entry.objects.exists()
    assert not Act.objects.exists()


# --- History ------------------------------------------------------------------------------------------


@pytest.fixture
def act(staff):
    staff.post(page_of(), form())
    return Act.objects.get()


@pytest.mark.parametrize(
    "change", [{"verb": "x"}, {"row_id": "x"}, {"about": "x"}, {"content": "x"}, {"form_key": "x"}]
)
def test_an_act_cannot_be_changed(act, change):
    with pytest.raises(IntegrityError, match="is history"), transaction.atomic():
        Act.objects.filter(pk=act.pk).update(**change)


def test_the_staff_member_of_an_act_cannot_be_changed(act):
    with pytest.raises(IntegrityError, match="is history"), transaction.atomic():
        Act.objects.filter(pk=act.pk).update(staff=UserFactory.create())


def test_an_act_cannot_be_deleted(act):
    with pytest.raises(IntegrityError, match="is history"), transaction.atomic():
        act.delete()
    connection.check_constraints()  # PostgreSQL cannot truncate a table with deferred constraints.
    with pytest.raises(IntegrityError, match="is history"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE accounts_act CASCADE")


def test_a_staff_member_with_acts_cannot_be_deleted(act):
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=act.staff_id).delete()


def test_only_the_texts_of_an_act_can_be_redacted(act):
    Act.objects.filter(pk=act.pk).update(told="(erased)", reason="(erased)")
    act.refresh_from_db()
    assert (act.told, act.reason) == ("(erased)", "(erased)")


def test_staff_cannot_act_on_their_own_account(client, give):
    member = StaffFactory.create(misar_id="usr_colleague")
    give("usr_colleague", 10)
    enter(client, member)
    address = reverse("admin:wallet_wallet_adjust", args=[quote("usr_colleague")])
    answer = client.post(address, {"credits": "5", "reason": "mine", "key": "k"})
    assert "You can&#x27;t do this for your own account" in answer.text
    assert available_of("usr_colleague") == 10
    assert not Act.objects.exists()
    for page in ("wallet_wallet", "accounts_user"):
        row = client.get(reverse(f"admin:{page}_change", args=[quote("usr_colleague")]))
        assert "Adjust the balance" not in row.text
        assert "Change plan" not in row.text
    assert (
        "Adjust the balance" not in client.get(reverse("admin:one_user", args=[quote("usr_colleague")])).text
    )
