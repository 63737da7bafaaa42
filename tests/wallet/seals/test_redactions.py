"""Words of acts and refunds change only by a redaction, which is recorded, and seals stay as they are."""

import hashlib
from functools import partial

import pytest
from django.db import transaction

from accounts.models import Act, Redaction
from monetization.models import Refund
from monetization.privacy import erasure
from tests.crowd import begin, second_connection
from tests.factories import UserFactory
from tests.monetization import records
from tests.monetization.records import refused
from tests.wallet.entries import sql
from tests.wallet.seals.history import found, unsealed
from wallet.models import TableSeal
from wallet.seals import sealing, tables
from wallet.seals.formats import digest_of, value_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def creator(db):
    return UserFactory.create(misar_id="usr_creator")


def digest(*words):
    return hashlib.sha256(b"".join(value_of(word) for word in words)).digest()


def recorded():
    values = Redaction.objects.order_by("id").values_list("table_name", "key", "before", "after")
    return [(table, key, bytes(before), bytes(after)) for table, key, before, after in values]


def test_a_redaction_records_the_digests_of_all_words(creator):
    records.write_to_the_log("bob@x.co – 金 asked", creator)
    given = records.tip(creator)
    refund = records.refund(given, 100)
    refund.reason = "(erased)"
    erasure.erase("bob@x.co", actor="operator")
    act = Act.objects.get()
    assert recorded() == [
        ("accounts_act", act.pk, digest("bob@x.co – 金 asked", ""), digest("(erased) – 金 asked", ""))
    ]
    refund.save()
    refund.refresh_from_db()
    assert recorded()[1:] == [("monetization_refund", refund.number, digest("Asked for"), digest("(erased)"))]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("abc", "(erased)"),
        ("a%b_c\\d bob", "a%b_c\\d (erased)"),
        ("a bob b bob", "a (erased) b (erased)"),
        ("für bob\n金", "für (erased)\n金"),
        ("(erased) bob", "(erased) (erased)"),
        ("long bob at the end", "long (erased) at the"),  # The text was too long after the erasure.
        ("bob bob bob", "(erased) (erased) (era"),
    ],
)
def test_a_part_may_be_erased(creator, before, after):
    records.write_to_the_log(before, creator)
    sql("UPDATE accounts_act SET told = %s", after)
    assert recorded() == [("accounts_act", Act.objects.get().pk, digest(before, ""), digest(after, ""))]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("abc", "abd"),
        ("abc", "ab"),
        ("abc", ""),
        ("abc", "x (erased)"),
        ("a%c", "abc"),
        ("abc", "a%"),
        ("abc", "a_c"),
        ("abc", "a_c(erased)"),
        ("abc", "%(erased)d"),
        ("abc", "\\abc(erased)"),
        ("(erased) b", "a b"),
        ("Für (erased)", "FÜR (erased)"),
    ],
)
def test_other_words_are_refused(creator, before, after):
    records.write_to_the_log(before, creator)
    refused(r"accounts_act(_\d+)? is history: UPDATE is refused", "UPDATE accounts_act SET told = %s", after)
    refused(r"accounts_act(_\d+)? is history", "UPDATE accounts_act SET reason = %s", after or " ")
    assert recorded() == []


@pytest.mark.parametrize(
    "change",
    ["label = 'x'", "told = '(erased)', label = 'x'", "id = id + 1", "created_at = now()", "form_key = 'x'"],
)
def test_other_columns_are_refused(creator, change):
    records.write_to_the_log("abc", creator)
    refused(r"accounts_act(_\d+)? is history: UPDATE is refused", f"UPDATE accounts_act SET {change}")


def test_the_same_words_again_are_no_redaction(creator):
    records.write_to_the_log("abc", creator)
    Act.objects.get().save()
    assert recorded() == []


def test_acts_are_not_deleted(creator):
    records.write_to_the_log("abc", creator)
    refused(r"accounts_act(_\d+)? is history: DELETE is refused", "DELETE FROM accounts_act")
    refused(r"accounts_act(_\d+)? is history: TRUNCATE is refused", "TRUNCATE accounts_act")


def test_seals_before_between_and_after_redactions_stay_valid(creator):
    records.write_to_the_log("bob@x.co and ann@x.co", creator)
    refund = records.refund(records.tip(creator), 100)
    sealing.seal()
    erasure.erase("bob@x.co", actor="operator")
    sql("UPDATE monetization_refund SET reason = '(erased) for'")
    assert (found(), unsealed()) == ([], (0, 3))
    records.write_to_the_log("ann@x.co again", creator)
    sealing.seal()
    assert (found(), unsealed()) == ([], (0, 0))
    erasure.erase("ann@x.co", actor="operator")
    sql("UPDATE monetization_refund SET reason = '(erased)'")
    sealing.seal()
    assert (found(), unsealed()) == ([], (0, 0))
    assert Refund.objects.get(pk=refund.pk).reason == "(erased)"
    assert [act.told for act in Act.objects.order_by("id")] == ["(erased) and (erased)", "(erased) again"]


def test_a_seal_has_the_words_as_they_were_first_written(creator):
    records.write_to_the_log("bob@x.co and ann@x.co", creator)
    erasure.erase("bob@x.co", actor="operator")
    sealing.seal()
    digest = TableSeal.objects.get(table_name="accounts_act").rows_digest
    act, first = Act.objects.get(), Redaction.objects.get()
    as_written = vars(act) | {"told": "bob@x.co and ann@x.co"}
    rows = next(table for table in tables.registered() if table.name == "accounts_act").formats[1]
    assert bytes(digest) == digest_of([rows.text(as_written)])
    assert bytes(first.before) == rows.digest_of_words(as_written)
    erasure.erase("ann@x.co", actor="operator")
    assert Redaction.objects.count() == 2
    assert found() == []


# --- A seal and a redaction at the same moment ------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_table_is_left_for_the_next_round_while_a_redaction_of_its_words_goes_on(creator, monkeypatch):
    monkeypatch.setattr(sealing, "SETTLING_SECONDS_MAX", 0)
    records.write_to_the_log("bob", creator)
    records.refund(records.tip(creator), 100)
    with second_connection() as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE accounts_act SET told = '(erased)'")
        # The redaction writes to the acts. Refunds need not wait for it.
        assert sealing.seal().failed == {"accounts_act": sealing.NOT_SETTLED}
        cursor.execute("COMMIT")
    assert sealing.seal().failed == {}
    assert found() == []


def test_words_that_are_redacted_between_two_seals_of_a_round(creator, monkeypatch):
    monkeypatch.setattr(sealing, "STRETCH_MAX", 1)
    for name in ("ann", "bob"):
        records.write_to_the_log(f"{name}@x.co", creator)
    acts_sealed = TableSeal.objects.filter(table_name="accounts_act")

    def erase_once(sealed):
        if acts_sealed.count() == 1:
            erasure.erase("bob@x.co", actor="operator")

    sealing.seal(on_sealed=erase_once)
    assert acts_sealed.count() == 2
    assert [act.told for act in Act.objects.order_by("id")] == ["ann@x.co", "(erased)"]
    assert found() == []


@pytest.mark.django_db(transaction=True)
def test_a_redaction_waits_for_no_seal_and_the_seal_has_the_words_before(creator):
    records.write_to_the_log("bob@x.co", creator)
    with transaction.atomic():
        sealing.seal()
        begin(lambda: erasure.erase("bob@x.co", actor="operator")).result(timeout=60)
        assert TableSeal.objects.filter(table_name="accounts_act").exists()
    assert Act.objects.get().told == "(erased)"
    assert found() == []
    sealing.seal()
    assert (found(), unsealed()) == ([], (0, 0))


@pytest.mark.django_db(transaction=True)
def test_seals_and_redactions_at_once_leave_the_seals_valid(creator):
    for number in range(20):
        records.write_to_the_log(f"bob{number}@x.co", creator)

    def seal_often():
        for _ in range(10):
            sealing.seal()

    def erase_every_second(first):
        for number in range(first, 20, 2):
            erasure.erase(f"bob{number}@x.co", actor="operator")

    workers = [begin(seal_often), *(begin(partial(erase_every_second, first)) for first in range(2))]
    for worker in workers:
        worker.result(timeout=120)
    sealing.seal()
    assert set(Act.objects.values_list("told", flat=True)) == {"(erased)"}
    assert (found(), unsealed()) == ([], (0, 0))
