"""Users and waiting mails are found by each spelling of their mailbox."""

import unicodedata

import pytest
from django.urls import reverse

from accounts import users
from accounts.addresses import ids_with_address
from accounts.mail import outbox
from accounts.models import OutgoingMail, User
from tests.factories import UserFactory
from tests.monetization.records import subscribe, tip
from tests.wallet.entries import sql
from wallet.models import Wallet

pytestmark = pytest.mark.django_db

UNICODE, ENCODED, UPPER = "zoe@bücher.example", "zoe@xn--bcher-kva.example", "ZOE@BÜCHER.example"
SAME = [UNICODE, ENCODED, UPPER, unicodedata.normalize("NFD", UNICODE), "Zoe@XN--BCHER-KVA.example"]


def arrived():
    """A user for each spelling, and neighbours."""
    ids = [users.arrive(misar_id=f"usr_{n}", email=email).pk for n, email in enumerate(SAME)]
    for n, email in enumerate(["zoe@bucher.example", "joe@bücher.example", ""]):
        users.arrive(misar_id=f"usr_other_{n}", email=email)
    return ids


@pytest.mark.parametrize("typed", SAME)
def test_each_spelling_finds_all_users(staff, typed):
    ids = arrived()
    assert ids_with_address(typed) == ids
    answer = staff.post(reverse("admin:accounts_user_changelist"), {"sought": typed}, follow=True)
    assert [user.pk for user in answer.context["cl"].result_list] == ids
    found = staff.post(reverse("admin:find"), {"sought": typed}, follow=True).context["found"]
    assert {match.name for match in found.matches} == set(ids)


def test_the_address_is_kept_as_it_was_sent():
    assert [users.arrive(misar_id="usr_1", email=email).email for email in SAME] == SAME


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("Ada.Lovelace@Example.COM", "ada.lovelace@example.com"),
        ("ada@example.com", "ADA@EXAMPLE.COM"),
        ("\N{KELVIN SIGN}ate@x.co", "kate@x.co"),
        ("IAN@X.CO", "ian@x.co"),
    ],
)
def test_the_case_does_not_matter(stored, typed):
    user = UserFactory.create(email=stored)
    assert ids_with_address(typed) == [user.pk]


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("\u0131an@x.co", "ian@x.co"),
        ("\u017fam@x.co", "sam@x.co"),
        ("zoe@straße.example", "zoe@strasse.example"),
    ],
)
def test_a_letter_that_only_looks_alike_is_another_mailbox(stored, typed):
    UserFactory.create(email=stored)
    assert ids_with_address(typed) == []


def test_users_of_the_release_before_are_found():
    """It writes no mailbox, and changes an address without its mailbox."""
    user = UserFactory.create(email="")
    sql("UPDATE accounts_user SET email = %s WHERE misar_id = %s", UPPER, user.pk)
    assert ids_with_address(ENCODED) == [user.pk]
    sql("UPDATE accounts_user SET email = %s WHERE misar_id = %s", "Joe@bücher.example", user.pk)
    assert User.objects.get(pk=user.pk).mailbox is None
    assert ids_with_address(ENCODED) == []
    assert ids_with_address("joe@xn--bcher-kva.example") == [user.pk]


def test_a_new_address_has_its_own_mailbox():
    for email, found in ((UNICODE, True), ("zoe@example.com", False), (ENCODED, True)):
        users.arrive(misar_id="usr_1", email=email)
        assert (ids_with_address(UPPER) == ["usr_1"]) is found


def test_wallets_are_searched_by_each_spelling(staff, give):
    give("usr_1", 5)
    users.arrive(misar_id="usr_1", email=UNICODE)
    for typed in SAME:
        answer = staff.post(reverse("admin:wallet_wallet_changelist"), {"sought": typed}, follow=True)
        assert [wallet.pk for wallet in answer.context["cl"].result_list] == ["usr_1"]
    assert Wallet.objects.count() == 1


@pytest.mark.parametrize("term", ["\0@x", "zoe@x.co\0"])
@pytest.mark.parametrize(
    "page",
    [
        *("wallet_wallet", "wallet_topup", "wallet_entry", "wallet_stripeevent", "accounts_user"),
        *("monetization_tip", "monetization_subscription", "monetization_sponsor", "accounts_apikey"),
    ],
)
def test_a_search_with_nul_finds_no_rows_in_any_list(staff, give, page, term):
    give("usr_1", 5)
    creator = UserFactory.create(misar_id="usr_1", email="zoe@x.co")
    tip(creator, email="zoe@x.co")
    subscribe(creator, "zoe@x.co")
    assert ids_with_address(term) == []
    answer = staff.post(reverse(f"admin:{page}_changelist"), {"sought": term}, follow=True)
    assert answer.status_code == 200
    assert list(answer.context["cl"].result_list) == []


def waiting(to, fact, text="Hello"):
    texts = {"subject": "S", "text": text, "html": text}
    return OutgoingMail.objects.create(to=to, kind="tip_received", fact=fact, **texts)


@pytest.mark.parametrize("typed", SAME)
def test_waiting_mails_to_and_about_a_mailbox_are_dropped(typed):
    for n, email in enumerate(SAME):
        waiting(email, f"to:{n}")
        waiting("creator@example.com", f"about:{n}", text=f"From {email}.")
    kept = [waiting("joe@bücher.example", "to:joe"), waiting("c@example.com", "about", "zoe@bucher.example")]
    assert outbox.forget(typed) == len(SAME)
    outbox.withdraw_naming(typed)
    left = OutgoingMail.objects.filter(state=OutgoingMail.State.WAITING).order_by("pk")
    assert set(left) == set(kept)
