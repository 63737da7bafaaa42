"""Which kinds of mail a user wants, and how often."""

import pytest

from accounts.mail import outbox
from accounts.models import User
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna(db):
    return UserFactory.create(misar_id="usr_anna")


def test_every_kind_is_on_until_it_is_switched_off(anna):
    assert all(outbox.wants(anna, kind) for kind in outbox.KINDS)
    outbox.set_switches(anna, set())
    assert not any(outbox.wants(anna, kind) for kind in outbox.KINDS)
    assert not any(outbox.wants(User.objects.get(pk=anna.pk), kind) for kind in outbox.KINDS)
    outbox.set_switches(anna, set(outbox.KINDS))
    assert User.objects.get(pk=anna.pk).mails_off == []


def test_a_kind_may_come_once_a_week(anna):
    outbox.set_switches(anna, {"receipt", "tip_received"}, weekly={"tip_received", "reversal"})
    stored = User.objects.get(pk=anna.pk)
    assert stored.mails_weekly == anna.mails_weekly == ["tip_received"]
    assert [kind for kind in outbox.KINDS if outbox.is_weekly(stored, kind)] == ["tip_received"]
    assert outbox.wants(stored, "tip_received")
    outbox.set_switches(anna, {"receipt"}, weekly={"tip_received"})
    assert not outbox.is_weekly(anna, "tip_received")


def test_kinds_it_does_not_know_stay_as_they_are(anna):
    User.objects.filter(pk=anna.pk).update(mails_off=["of_tomorrow"], mails_weekly=["of_later"])
    outbox.set_switches(anna, {*outbox.KINDS, "of_tomorrow", "nonsense"}, weekly={"nonsense"})
    stored = User.objects.get(pk=anna.pk)
    assert (stored.mails_off, stored.mails_weekly) == (["of_tomorrow"], ["of_later"])
