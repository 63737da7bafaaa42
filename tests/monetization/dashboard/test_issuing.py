"""A key made by the dashboard's form: one per form, with its secret in one answer only."""

import pytest

from accounts import api_keys
from accounts.errors import KeyLimitReached
from accounts.models import ApiKey
from foundation.errors import KeyReused
from monetization.dashboard.keys import issuing
from monetization.models import FirstAnswer

pytestmark = pytest.mark.django_db


def issue(owner, form_key="form-1", name="Website"):
    return issuing.issue_once(owner=owner, form_key=form_key, name=name, scopes=["monetization"])


def test_a_form_makes_a_key_that_works(creator):
    key, secret = issue(creator)
    assert api_keys.find(secret) == key
    assert (key.owner, key.name, key.scopes) == (creator, "Website", ["monetization"])


@pytest.mark.parametrize("name", ["Website", "Another"])
def test_the_same_form_again_makes_no_key_and_shows_no_secret(creator, name):
    issue(creator)
    with pytest.raises(KeyReused):
        issue(creator, name=name)
    assert ApiKey.objects.count() == 1


def test_what_is_stored_for_a_form_holds_no_secret(creator):
    key, secret = issue(creator)
    first = FirstAnswer.objects.get()
    assert (first.endpoint, first.row_id) == (FirstAnswer.Endpoint.API_KEY, str(key.pk))
    assert secret not in first.answer
    assert first.get_endpoint_display() == "API key"


def test_each_creator_has_their_own_form_keys(creator, stranger):
    issue(creator)
    issue(stranger)
    assert ApiKey.objects.count() == 2


def test_a_form_refused_by_the_key_limit_can_be_sent_again(creator):
    creator.plan.key_limit = 1
    creator.plan.save(update_fields=["key_limit"])
    first, _ = issue(creator, "form-1")
    with pytest.raises(KeyLimitReached):
        issue(creator, "form-2")
    api_keys.revoke(owner=creator, key_id=first.pk)
    issue(creator, "form-2")
