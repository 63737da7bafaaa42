"""Finding: an id leads to its user, other texts to a list, and no page's address holds an e-mail address."""

import logging

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from accounts import api_keys, service_keys
from backoffice.find import search
from tests.backoffice.plans import captured, plans_of, scans_of
from tests.factories import StaffFactory, UserFactory, enter
from tests.monetization.records import place, refund, subscribe, tip
from tests.wallet.entries import sql
from tests.wallet.past import charged, wrote
from wallet.models import StripeEvent, TopUp

FIND = reverse("admin:find")


def user_page(user_id):
    return reverse("admin:one_user", args=[quote(user_id)])


def find(client, sought):
    """The page to which a search leads."""
    return client.post(FIND, {"sought": sought}, follow=True)


def way_of(client, sought):
    """The address to which a search leads."""
    answer = client.post(FIND, {"sought": sought})
    assert answer.status_code == 303
    return answer.headers["Location"]


def names(answer):
    """The names of the matches on the page."""
    return [match.name for match in answer.context["found"].matches]


def everything(permission):
    return True


# --- One match leads there ----------------------------------------------------------------------------


def test_a_misar_id_leads_to_its_page(staff):
    UserFactory.create(misar_id="usr_signed_in")
    wrote(5, timezone.now(), user_id="usr_wallet_only")
    TopUp.objects.create(user_id="usr_topup_only")
    StripeEvent.objects.create(id="evt_1", type="x", state="parked", user_id="usr_event_only")
    for user_id in ("usr_signed_in", "usr_wallet_only", "usr_topup_only", "usr_event_only"):
        assert way_of(staff, user_id) == user_page(user_id)


def test_an_odd_misar_id_leads_to_its_page(staff):
    for user_id in ("a/b?c#d", "名前", "x" * 255, "100%", "with space", "staff:grace"):
        UserFactory.create(misar_id=user_id, email="")
        answer = staff.post(FIND, {"sought": user_id}, follow=True)
        assert answer.redirect_chain == [(user_page(user_id), 303)]
        assert answer.context["user_id"] == user_id


def test_ids_of_rows_lead_to_the_user_and_name_the_row(staff, give):
    entry = give("usr_1", 25, session_id="cs_test_a1")
    topup = TopUp.objects.get()
    charge = charged(3, timezone.now())
    StripeEvent.objects.create(id="evt_1", type="x", state="handled", user_id="usr_1")
    for sought, name in {
        entry.pk: entry.pk,
        charge.pk: charge.pk,
        topup.pk: topup.pk,
        "cs_test_a1": topup.pk,
        "pi_cs_test_a1": topup.pk,
        "evt_1": "evt_1",
    }.items():
        assert way_of(staff, sought) == f"{user_page('usr_1')}?found={sought}"
        page = find(staff, sought)
        assert page.context["found"].name == name
        assert "Found by" in page.text
    assert "(Stripe checkout <code>cs_test_a1</code>)" in find(staff, "cs_test_a1").text


def test_the_records_of_a_creator_lead_to_the_creator(staff):
    creator = UserFactory.create(misar_id="usr_creator")
    given = tip(creator, stripe_payment_id="pi_tip")
    back = refund(given, 100)
    subscription = subscribe(creator, stripe_subscription_id="sub_stripe")
    placement = place(creator)
    for sought, name in {
        given.pk: given.pk,
        "pi_tip": given.pk,
        back.pk: back.pk,
        subscription.pk: subscription.pk,
        "sub_stripe": subscription.pk,
        placement.pk: placement.pk,
    }.items():
        assert way_of(staff, sought) == f"{user_page('usr_creator')}?found={sought}"
        assert find(staff, sought).context["found"].name == name


def test_a_row_without_a_user_leads_to_its_own_page(staff):
    StripeEvent.objects.create(id="evt_1", type="x", state="ignored")
    assert way_of(staff, "evt_1") == reverse("admin:wallet_stripeevent_change", args=[quote("evt_1")])


# --- Keys ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["{}", "Authorization: Bearer {}", '"{}"', "{:.12}"])
def test_only_the_beginning_of_a_key_is_read_and_sent_on(staff, given, caplog):
    caplog.set_level(logging.DEBUG)
    owner = UserFactory.create(misar_id="usr_owner")
    _, secret = api_keys.issue(owner=owner, name="Newsletter")
    with captured() as asked:
        address = way_of(staff, given.format(secret))
    assert address == f"{user_page('usr_owner')}?found={secret[:12]}"
    rest = secret[12:]
    assert rest not in caplog.text
    assert not [query for query in asked if rest in query]
    assert rest not in staff.get(address).text


def test_a_service_key_leads_to_its_own_page(staff):
    key, secret = service_keys.issue_service_key(product="blog")
    for sought in (secret, secret[:12], f"service:{secret[:12]}"):
        assert way_of(staff, sought) == reverse("admin:accounts_servicekey_change", args=[key.pk])


def test_a_key_that_is_not_ours_is_not_echoed(staff):
    answer = find(staff, "msk_" + "0123456789abcdef" * 4)
    assert "msk_01234567" in answer.text
    assert "msk_012345678" not in answer.text


# --- Several, and none --------------------------------------------------------------------------------


def test_an_address_with_several_matches_lists_them_all(staff):
    first, second = (UserFactory.create(email="shared@example.com") for _ in range(2))
    creator = UserFactory.create()
    given = tip(creator, email="Shared@example.com")
    subscription = subscribe(creator, email="shared@example.com")
    answer = find(staff, "shared@Example.com")
    assert set(names(answer)) == {first.pk, second.pk, given.pk, subscription.pk}
    for user in (first, second, creator):
        assert user_page(user.pk) in answer.text


def test_a_readers_tips_lead_to_their_creators(staff):
    creators = [UserFactory.create() for _ in range(2)]
    tips = [tip(creator, email="reader@example.com") for creator in creators]
    answer = find(staff, "reader@example.com")
    assert set(names(answer)) == {each.pk for each in tips}
    lone = tip(creators[0], email="lone@example.com")
    assert names(find(staff, "Lone@example.com")) == [lone.pk]


@pytest.mark.breaks_the_books  # One form adjusted many wallets.
def test_many_matches_are_cut_and_the_page_says_so(staff):
    for number in range(25):
        wrote(1, timezone.now(), user_id=f"usr_{number}", idempotency_key="1")
    answer = find(staff, "1")
    assert len(names(answer)) == search.MATCHES_MAX
    assert "Found more than 20" in answer.text


def test_a_search_without_a_match_says_what_can_be_found(staff):
    answer = find(staff, "txn_unknown")
    assert 'No match for "txn_unknown".' in answer.text
    assert "What can be found" in answer.text
    assert user_page("txn_unknown") not in answer.text


def test_the_page_of_a_new_user_can_be_opened_by_staff_who_may_adjust(client, staff):
    assert user_page("usr_new") in find(staff, "usr_new").text
    member = StaffFactory.create(is_superuser=False)
    member.groups.add(Group.objects.get(name="support"))
    enter(client, member)
    assert user_page("usr_new") not in find(client, "usr_new").text


@pytest.mark.parametrize(
    "sought", ["", "   ", "\0", "usr\0_1", "x" * 10_000, "a\nb", "'\"` ", "\udcff", "%", "_"]
)
def test_a_text_that_cannot_be_an_id_finds_nothing_and_does_no_harm(staff, sought):
    UserFactory.create(misar_id="usr_1")
    body = b"sought=" + sought.encode("utf-8", "surrogatepass").replace(b"%", b"%25")
    content_type = "application/x-www-form-urlencoded"
    answer = staff.generic("POST", FIND, body, content_type=content_type)
    answer = staff.get(answer.headers["Location"])
    assert answer.status_code == 200
    assert names(answer) == []


def test_spaces_and_quotes_around_a_text_do_not_matter(staff):
    UserFactory.create(misar_id="usr_1")
    for given in (" usr_1 ", '"usr_1"', "“usr_1”", "`usr_1`", "<usr_1>", "\N{ZERO WIDTH SPACE}usr_1\r\n"):
        assert way_of(staff, given) == user_page("usr_1")


# --- Permissions --------------------------------------------------------------------------------------


def test_only_tables_that_the_staff_member_may_view_are_searched(client, give):
    entry = give("usr_1", 25, session_id="cs_1")
    UserFactory.create(misar_id="usr_1")
    member = StaffFactory.create(is_superuser=False)
    member.user_permissions.set(Permission.objects.filter(codename="view_topup"))
    enter(client, member)
    for sought in ("usr_1", "usr_1@example.com", entry.pk):
        assert names(find(client, sought)) == []
    # A staff member who may not view users is led to the row.
    topup = TopUp.objects.get()
    assert way_of(client, "cs_1") == reverse("admin:wallet_topup_change", args=[quote(topup.pk)])


def test_only_staff_can_find(client, db):
    for visitor in (None, UserFactory.create(misar_id="usr_1")):
        if visitor:
            client.force_login(visitor)
        answer = client.post(FIND, {"sought": "usr_1"})
        assert answer.status_code in (302, 403)
        assert user_page("usr_1") not in answer.headers.get("Location", "")


def test_opening_the_page_finds_nothing(staff):
    UserFactory.create(misar_id="usr_1")
    answer = staff.get(FIND, {"sought": "usr_1"})
    assert names(answer) == []
    assert "No match" not in answer.text


def test_the_box_is_on_every_page(staff, give):
    entry = give("usr_1", 25)
    for path in (
        reverse("admin:wallet_entry_changelist"),
        reverse("admin:wallet_entry_change", args=[quote(entry.pk)]),
        user_page("usr_1"),
        FIND,
    ):
        assert f'action="{FIND}"' in staff.get(path).text


# --- Cost ---------------------------------------------------------------------------------------------

WALLETS = (
    "INSERT INTO wallet_wallet SELECT id, %(entries)s, %(entries)s, now() FROM unnest(%(ids)s::text[]) AS id"
)
# A search looks into each column once, or less often if it finds enough. It also looks for mailboxes that are
# not filled.
QUERIES_MAX = 52
LEDGER = """
INSERT INTO wallet_entry (id, wallet_id, sequence, kind, credits, balance_after, feature, product,
       idempotency_key, stripe_session_id, actor, reason, effective_at, created_at)
SELECT 'txn_' || id || '_' || n, id, n, 'adjustment', 1, n, '', '', 'key_' || id || '_' || n, '', 'sql', '',
       '2020-01-01Z', '2020-01-01Z'
  FROM unnest(%(ids)s::text[]) AS id, generate_series(1, %(entries)s) AS n
"""


def fill(user_ids, entries):
    """A wallet for each user, with this many entries."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SET LOCAL session_replication_role = replica"
        )  # Triggers are off; these rows keep the laws anyway.
        for statement in (WALLETS, LEDGER):
            cursor.execute(statement, {"ids": list(user_ids), "entries": entries})
        cursor.execute("SET LOCAL session_replication_role = origin")
        for table in ("wallet_wallet", "wallet_entry"):
            cursor.execute(f"ANALYZE {table}")


@pytest.mark.parametrize(
    "sought",
    ["usr_7", "txn_usr_7_7", "key_usr_7_7", "cs_unknown", "ada@example.com", "msk_00000000", "no such thing"],
)
def test_every_search_uses_an_index_of_the_ledger(db, sought):
    fill([f"usr_{number}" for number in range(20)], 500)
    with captured() as asked:
        search.look(sought, may=everything)
    assert len(asked) <= QUERIES_MAX
    assert scans_of(asked) == []


def test_no_search_reads_a_whole_table(db):
    """With sequential scans off, PostgreSQL finds an index for each search."""
    with captured() as asked:
        search.look("ada@example.com", may=everything)
        search.look("usr_7", may=everything)
    sql("SET LOCAL enable_seqscan = off")
    for query, nodes in plans_of(asked):
        for node in nodes:
            assert node["Node Type"] != "Seq Scan", query
            assert "Index Name" not in node or "Index Cond" in node, query


# --- The find box ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["index", "wallet_entry_changelist", "month_ends", "find"])
def test_the_box_is_empty_on_a_page_that_shows_no_search(staff, name):
    page = staff.get(reverse(f"admin:{name}"))
    assert 'id="find_anywhere" value=""' in page.text


def test_the_box_keeps_what_was_searched_for(staff):
    UserFactory.create(misar_id="usr_one", name="Ines Pilot")
    UserFactory.create(misar_id="usr_two", name="Ines Lang")
    assert 'id="find_anywhere" value="ines"' in find(staff, "ines").text
    entries = staff.post(reverse("admin:wallet_entry_changelist"), {"sought": "usr_one"}, follow=True)
    assert 'id="find_anywhere" value="usr_one"' in entries.text
