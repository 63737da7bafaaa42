"""Notes on a user: who writes and reads them, that they stay, and what an erasure leaves of them."""

import secrets

import pytest
from django.contrib.auth.models import Permission
from django.db import DatabaseError, connection, transaction
from django.urls import reverse

from accounts.models import Act
from backoffice.one_user import notes
from foundation.erased_texts import erase_from_texts
from tests.backoffice.members import member_of, signed_in
from tests.backoffice.plans import captured
from tests.backoffice.test_finding import user_page
from tests.factories import StaffFactory, UserFactory
from tests.wallet.entries import sql

pytestmark = pytest.mark.django_db

PAGE = user_page("usr_1")


@pytest.fixture
def ada():
    return UserFactory.create(misar_id="usr_1")


@pytest.fixture
def grace():
    """Support, in a browser."""
    return signed_in(member_of("support", misar_id="staff:grace"))


def write(client, text="Called us.", page=PAGE, key=None):
    return client.post(page, {"reason": text, "key": key or secrets.token_hex(8)})


def texts(client, page=PAGE):
    return [note.reason for note in client.get(page).context["notes"]]


def test_support_writes_a_note_and_colleagues_read_it_newest_first(ada, grace):
    assert write(grace, "Called us.").headers["Location"] == f"{PAGE}#notes"
    write(grace, "Called again.\n<b>Angry</b>")
    other = signed_in(member_of("billing"))
    assert texts(other) == ["Called again.\n<b>Angry</b>", "Called us."]
    page = other.get(PAGE).text
    assert "Called again.<br>&lt;b&gt;Angry&lt;/b&gt;" in page
    assert "grace (staff)" in page.partition('id="notes"')[2].partition("</section>")[0]
    act = Act.objects.latest("pk")
    assert (act.staff_id, act.verb, act.about, act.model, act.row_id) == (
        *("staff:grace", "note", "usr_1"),
        *("accounts.user", "usr_1"),
    )
    # The list of acts has it as any other act, and the user's page has it once.
    listed = other.get(reverse("admin:accounts_act_changelist"), {"about__exact": "usr_1"})
    assert listed.context["cl"].queryset.count() == 2
    assert other.get(PAGE).context["acts"] == []


def test_a_form_that_is_sent_twice_writes_one_note(ada, grace):
    for _ in range(2):
        assert write(grace, key="k").status_code == 302
    assert texts(grace) == ["Called us."]
    assert "already" in write(grace, "Another text", key="k").text
    assert texts(grace) == ["Called us."]


@pytest.mark.parametrize(
    ("text", "is_saved"),
    [("", False), ("  \n", False), ("a" * 2000, True), ("a" * 2001, False), ("\x07", False)],
)
def test_a_note_has_1_to_2000_printable_characters(ada, grace, text, is_saved):
    answer = write(grace, text)
    assert (answer.status_code == 302) is is_saved
    assert Act.objects.exists() is is_saved
    if not is_saved:
        assert answer.context["note_form"].errors["reason"]
        assert '<details class="note-form" open>' in answer.text


def test_who_may_not_write_a_note(ada):
    reader = member_of()
    for codename in ("view_user", "view_act"):
        reader.user_permissions.add(Permission.objects.get(codename=codename))
    client = signed_in(reader)
    assert client.get(PAGE).context["note_form"] is None
    assert write(client).status_code == 403
    assert not Act.objects.exists()


def test_no_note_about_oneself_or_about_an_unknown_user(grace):
    own = member_of("support", misar_id="usr_2")
    for client, page in ((signed_in(own), user_page("usr_2")), (grace, user_page("usr_never"))):
        assert client.get(page).context["note_form"] is None
        assert write(client, page=page).status_code == 200
    assert not Act.objects.exists()


def test_a_wallet_without_a_user_can_have_a_note(give, grace):
    give("usr_1", 3)
    assert write(grace).status_code == 302
    assert texts(grace) == ["Called us."]
    assert Act.objects.get().model == "wallet.wallet"


def test_only_staff_who_may_see_acts_see_notes(ada, grace):
    write(grace)
    reader = member_of()
    reader.user_permissions.add(Permission.objects.get(codename="view_user"))
    assert "Called us." not in signed_in(reader).get(PAGE).text


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts_act SET reason = 'Another text'",
        "UPDATE accounts_act SET about = 'usr_2'",
        "DELETE FROM accounts_act",
        "TRUNCATE accounts_act",
    ],
)
def test_the_database_refuses_to_change_or_remove_a_note(ada, grace, statement):
    write(grace)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert sql("SELECT reason FROM accounts_act") == [("Called us.",)]


def test_an_erasure_removes_an_address_from_notes(ada, grace):
    write(grace, "Wrote from nora@example.com, twice.")
    erase_from_texts("nora@example.com")
    assert texts(grace) == ["Wrote from (erased), twice."]


def test_the_page_runs_as_many_queries_for_many_notes_as_for_one(ada):
    staff = StaffFactory.create(misar_id="staff:ada")
    client = signed_in(staff)
    write(client)
    client.get(PAGE)
    with captured() as few:
        client.get(PAGE)
    for number in range(30):
        write(client, f"Note {number}")
    client.get(PAGE)  # It reads the messages, which the next page does not have.
    with captured() as many:
        client.get(PAGE)
    assert len(many) == len(few)
    assert texts(client) == [f"Note {number}" for number in range(29, 9, -1)]
    assert notes.NOTES_SHOWN == 20
