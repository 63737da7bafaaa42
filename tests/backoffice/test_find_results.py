"""Finding by a beginning, what opens a page, and the results, whose address holds no text of the search."""

import unicodedata
from functools import partial

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import users as users_module
from accounts.models import User
from backoffice import kept_searches
from backoffice.find import search
from monetization.models import Sponsor, Subscription, Tip
from tests.backoffice.plans import captured, plans_of
from tests.crowd import at_once
from tests.factories import StaffFactory, UserFactory, enter
from tests.html import table
from tests.monetization.records import place, subscribe, tip
from tests.wallet.entries import sql
from tests.wallet.past import charged, wrote
from wallet.models import TopUp, Wallet

FIND = reverse("admin:find")


def user_page(user_id):
    return reverse("admin:one_user", args=[quote(user_id)])


def way_of(client, sought):
    """The address to which a search leads."""
    return client.post(FIND, {"sought": sought}).headers["Location"]


def results(client, sought):
    """The list that a search leads to: the name of each match, and what matched."""
    address = way_of(client, sought)
    assert address.startswith(FIND), f"{sought} opened {address}"
    page = client.get(address)
    assert page.status_code == 200
    return [(cells[0].split(" ")[-1], cells[1]) for cells in table(page, "matches")] if _has_any(page) else []


def _has_any(page):
    return bool(page.context["found"].matches)


# --- What opens a page ----------------------------------------------------------------------------------


def test_an_idempotency_key_opens_no_page(staff):
    """`demo` opened the page of another user, whose entry had this key."""
    UserFactory.create(misar_id="usr_demo", name="Dana Demo")
    wrote(9, timezone.now(), user_id="usr_other")
    entry = charged(3, timezone.now(), user_id="usr_other", idempotency_key="demo")
    assert results(staff, "demo") == [(entry.pk, "Idempotency key demo")]


def test_an_idempotency_key_that_looks_like_an_id_opens_no_page(staff, give):
    topup = give("usr_1", 10, session_id="cs_of_a_user")
    for key in ("txn_01", "cs_unknown", "usr_nobody", "msk_0123456", topup.pk):
        entry = charged(1, timezone.now(), idempotency_key=key)
        assert (entry.pk, f"Idempotency key {key}") in results(staff, key)


def test_a_misar_id_that_is_another_users_key_shows_both(staff):
    UserFactory.create(misar_id="demo")
    wrote(9, timezone.now(), user_id="usr_other")
    entry = charged(3, timezone.now(), user_id="usr_other", idempotency_key="demo")
    assert results(staff, "demo") == [("demo", "Misar ID demo"), (entry.pk, "Idempotency key demo")]


def test_an_id_that_a_creator_chose_opens_no_page_of_that_creator(staff):
    """A creator's program sends Stripe's ids, and could send the Misar ID of another user."""
    creator = UserFactory.create(misar_id="usr_creator")
    given = tip(creator, stripe_payment_id="usr_victim")
    subscription = subscribe(creator, stripe_subscription_id="order 7")
    assert results(staff, "usr_victim") == [(given.pk, "Stripe payment usr_victim")]
    assert results(staff, "order 7") == [(subscription.pk, "Stripe subscription order 7")]
    wrote(5, timezone.now(), user_id="usr_victim")
    assert results(staff, "usr_victim")[0] == ("usr_victim", "Misar ID usr_victim")


def test_a_complete_misar_id_opens_its_page_although_others_begin_with_it(staff):
    for user_id in ("usr_1", "usr_10", "usr_1a", "USR_1"):
        UserFactory.create(misar_id=user_id, name="", email="")
    assert way_of(staff, "usr_1") == user_page("usr_1")
    assert way_of(staff, "USR_1") == user_page("USR_1")
    assert {name for name, _ in results(staff, "Usr_1")} == {"usr_1", "usr_10", "usr_1a", "USR_1"}


def test_one_id_of_stripe_of_two_users_is_a_list(staff, give):
    entry = give("usr_1", 10, session_id="cs_shared")
    TopUp.objects.create(user_id="usr_2", stripe_session_id="cs_other", payment_intent_id="pi_shared")
    given = tip(UserFactory.create(misar_id="usr_3"), stripe_payment_id="pi_shared")
    assert way_of(staff, "cs_shared") == f"{user_page('usr_1')}?found=cs_shared"
    assert len(results(staff, "pi_shared")) == 2
    assert entry.pk not in [name for name, _ in results(staff, "pi_shared")]
    assert given.pk in [name for name, _ in results(staff, "pi_shared")]


@pytest.mark.parametrize("sought", ["Ada Lovelace", "ada lovelace", "ada@example.com", "ada", "usr_a"])
def test_a_name_an_address_or_a_beginning_opens_no_page_even_if_it_has_one_match(staff, sought):
    UserFactory.create(misar_id="usr_ada", name="Ada Lovelace", email="ada@example.com")
    assert [name for name, _ in results(staff, sought)] == ["usr_ada"]


def test_a_misar_id_that_looks_like_an_address_is_not_put_into_an_address(staff):
    UserFactory.create(misar_id="ada@example.com", email="")
    assert results(staff, "ada@example.com") == [("ada@example.com", "Misar ID ada@example.com")]


# --- Beginnings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sought", "why"),
    [
        ("Ada Love", "Name begins with"),
        ("ADA LOVELACE", "Name"),
        ("ada.l", "Email address begins with"),
        ("ada.lovelace@Example", "Email address begins with"),
        ("Ada.Lovelace@example.COM", "Email address"),
        (" <ada.lovelace@example.com> ", "Email address"),
        ("Usr_A", "Misar ID begins with"),
    ],
)
def test_a_user_is_found_by_the_beginning_of_name_address_or_id(staff, sought, why):
    UserFactory.create(misar_id="usr_ada", name="Ada Lovelace", email="Ada.Lovelace@Example.com")
    UserFactory.create(misar_id="usr_b", name="Bob", email="bob@example.com")
    assert results(staff, sought) == [("usr_ada", f"{why} {sought.strip()}")]


@pytest.mark.parametrize(
    "name", ["Жанна", "山田太郎", "عائشة", "علی\N{ZERO WIDTH NON-JOINER}رضا", "N'Golo", "Ünal", "Łukasz"]
)
def test_a_name_of_any_script_is_found_by_its_beginning(staff, name):
    UserFactory.create(misar_id="usr_1", name=f"{name} and more", email="")
    UserFactory.create(misar_id="usr_2", name="Else", email="")
    for sought in (name, name[0], name.lower(), name.upper(), f"{name} and"):
        assert [each for each, _ in results(staff, sought)] == ["usr_1"], sought


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
def test_an_accent_is_found_however_it_is_stored_and_typed(staff, stored, typed):
    name = "Zoë Müller"
    UserFactory.create(misar_id="usr_1", name=unicodedata.normalize(stored, name), email="")
    assert [each for each, _ in results(staff, unicodedata.normalize(typed, "zoë m"))] == ["usr_1"]


@pytest.mark.parametrize("sign", ["%", "_", "\\", "%%", "a%", "a_", "\\%", "a'b", "--"])
def test_signs_of_a_pattern_are_signs_of_the_text(staff, sign):
    UserFactory.create(misar_id="usr_plain", name="ab plain", email="")
    UserFactory.create(misar_id="usr_sign", name=f"{sign} sign", email="")
    assert [each for each, _ in results(staff, sign)] == ["usr_sign"]


def test_a_name_in_quotes_is_found_with_and_without_them(staff):
    UserFactory.create(misar_id="usr_weird", name='"Weird Al" Yankovic', email="")
    UserFactory.create(misar_id="usr_plain", name="Weird Tales", email="")
    for sought in ('"Weird Al"', '"Weird Al" Y'):
        assert [each for each, _ in results(staff, sought)] == ["usr_weird"]
    assert [each for each, _ in results(staff, "“Weird")] == ["usr_plain"]


def test_a_user_who_never_signed_in_is_found_by_the_beginning(staff):
    wrote(5, timezone.now(), user_id="usr_wallet_only")
    UserFactory.create(misar_id="usr_wallet_and_more")
    wrote(5, timezone.now(), user_id="usr_wallet_and_more")
    assert results(staff, "usr_wallet") == [
        ("usr_wallet_and_more", "Misar ID begins with usr_wallet"),
        ("usr_wallet_only", "Misar ID begins with usr_wallet"),
    ]


def test_readers_and_sponsors_are_found_by_the_beginning(staff):
    creator = UserFactory.create(misar_id="usr_creator", name="", email="")
    given = tip(creator, email="Rosa@readers.example", name="Rosa Reader")
    subscription = subscribe(creator, email="rosa@readers.example")
    placement = place(creator, "Rosa Roses")
    by_address = results(staff, "rosa@R")
    assert {name for name, _ in by_address} == {given.pk, subscription.pk}
    assert {by for _, by in by_address} == {"Email address begins with rosa@R"}
    assert {name for name, _ in results(staff, "ROSA R")} == {given.pk, placement.pk}


@pytest.mark.parametrize(
    "sought", ["zoe@bücher.exa", "zoe@xn--bcher-kva.ex", "Zoe@BU\u0308CHER.e", "zoe@XN--BCHER-KVA."]
)
def test_the_beginning_of_an_address_finds_each_spelling(staff, sought):
    creator = UserFactory.create(misar_id="usr_creator", name="", email="")
    spellings = ("zoe@bücher.example", "Zoe@xn--bcher-kva.example")
    users = {users_module.arrive(misar_id=f"usr_{n}", email=email).pk for n, email in enumerate(spellings)}
    rows = {tip(creator, email=email).pk for email in spellings}
    rows |= {subscribe(creator, email).pk for email in spellings}
    for neighbour in ("zoe@bucher.example", "zoe@bücherei.example", "joe@bücher.example"):
        users_module.arrive(misar_id=neighbour[:12], email=neighbour)
        tip(creator, email=neighbour)
    assert {name for name, _ in results(staff, sought)} == users | rows


def test_the_beginning_of_an_encoded_address_finds_its_readable_spelling(staff):
    users_module.arrive(misar_id="usr_emile", email="emile@bücher.example")
    users_module.arrive(misar_id="usr_other", email="emile@bucher.example")
    assert [name for name, _ in results(staff, "emile@xn--bcher-kva")] == ["usr_emile"]


def test_whole_matches_come_before_beginnings(staff):
    for number in range(30):
        UserFactory.create(misar_id=f"a{number}", name="Jo Ann", email="")
    UserFactory.create(misar_id="z", name="jo", email="")
    found = results(staff, "Jo")
    assert len(found) == search.MATCHES_MAX
    assert found[0] == ("z", "Name Jo")


@pytest.mark.parametrize(("count", "heading"), [(20, "Found 20"), (21, "Found more than 20")])
def test_one_letter_finds_at_most_twenty(staff, count, heading):
    User.objects.filter(is_staff=True).update(name="", email="")
    for number in range(count):
        UserFactory.create(misar_id=f"x{number:02}", name="", email="")
    page = staff.get(way_of(staff, "x"))
    assert len(page.context["found"].matches) == search.MATCHES_MAX
    assert f">{heading}<" in page.text


# --- The address of the results -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sought", ["ada@example.com", "ADA@EXAMPLE.COM", "ada@ex", "nobody@example.com", "Ada Lo"]
)
def test_no_pages_address_holds_what_was_sought(staff, sought):
    creator = UserFactory.create(misar_id="usr_1", name="Ada Lovelace", email="ada@example.com")
    tip(creator, email="ada@example.com")
    address = way_of(staff, sought)
    page = staff.get(address)
    links = [address, *(link for link in page.text.split('"') if "/admin/" in link)]
    for part in ("@", "%40", "_40", "ada", "Ada", "ADA", "nobody"):
        assert not [link for link in links if part in link.replace("/admin/", "/")], part


def test_results_are_the_same_after_a_reload_and_in_another_tab(staff):
    UserFactory.create(misar_id="usr_ada", name="Ada", email="")
    UserFactory.create(misar_id="usr_bob", name="Bob", email="")
    first, second = way_of(staff, "Ada"), way_of(staff, "Bob")
    assert first != second != way_of(staff, "Bob")
    for address, name in ((first, "usr_ada"), (second, "usr_bob"), (first, "usr_ada")):
        page = staff.get(address)
        assert [match.name for match in page.context["found"].matches] == [name]
    assert staff.head(first).status_code == 200


def test_results_are_of_now_and_follow_the_permissions_of_now(client, staff):
    member = StaffFactory.create(is_superuser=False, name="", email="")
    member.groups.set(Group.objects.filter(name="support"))
    enter(client, member)
    UserFactory.create(misar_id="usr_ada", name="Ada", email="")
    address = way_of(client, "Ada")
    assert "usr_ada" in client.get(address).text
    UserFactory.create(misar_id="usr_ada_2", name="Ada", email="")
    assert "usr_ada_2" in client.get(address).text
    member.groups.clear()
    page = client.get(address)
    assert (page.status_code, page.context["found"].matches) == (200, [])


def gone(page):
    """Whether the page says to search again, and shows nothing of the search."""
    assert page.status_code == 404
    assert 'name="sought"' in page.text
    return "This search is no longer kept." in page.text and "usr_ada" not in page.text


@pytest.mark.parametrize("token", ["nonsense", "A" * 43, "Ä", "A" * 3000, "='\"%00", "a b"])
def test_an_unknown_token_asks_to_search_again(staff, token):
    assert gone(staff.get(reverse("admin:found", args=[token])))


def test_a_colleagues_search_cannot_be_opened(client, staff):
    UserFactory.create(misar_id="usr_ada", name="Ada", email="")
    address = way_of(staff, "Ada")
    enter(client, StaffFactory.create())
    assert gone(client.get(address))
    assert client.get(FIND).status_code == 200


def test_a_search_ends_with_the_session(client, db):
    member = StaffFactory.create()
    enter(client, member)
    UserFactory.create(misar_id="usr_ada", name="Ada", email="")
    address = way_of(client, "Ada")
    client.post("/sign-out")
    assert client.get(address).status_code == 302
    enter(client, member)
    assert gone(client.get(address))


def test_the_last_twenty_searches_are_kept(staff):
    addresses = [way_of(staff, f"text {number}") for number in range(kept_searches.KEPT_MAX + 1)]
    assert gone(staff.get(addresses[0]))
    assert [staff.get(address).status_code for address in addresses[1:]] == [200] * kept_searches.KEPT_MAX


def test_a_long_text_is_cut_before_it_is_kept(staff):
    UserFactory.create(misar_id="x" * 255, name="x" * 200, email="")
    page = staff.get(way_of(staff, "x" * 500_000))
    assert page.context["found"].matches == []
    assert len(staff.session[kept_searches.SEARCHES][0]) < 1000


def test_no_session_holds_a_text_that_can_be_read(staff):
    way_of(staff, "ada@example.com")
    stored = str([session.get_decoded() for session in Session.objects.all()])
    assert kept_searches.SEARCHES in stored
    assert "ada" not in stored
    assert "example" not in stored


@pytest.mark.django_db(transaction=True)
def test_two_searches_at_the_same_moment_are_both_kept():
    member = StaffFactory.create()
    first = Client()
    enter(first, member)

    def search_for(text):
        tab = Client()
        tab.cookies = first.cookies
        return way_of(tab, text)

    addresses = at_once([partial(search_for, f"text {n}") for n in range(6)])
    for number, address in enumerate(addresses):
        assert f"text {number}" in first.get(address).text


def test_a_session_that_just_ended_keeps_no_search(staff):
    session = staff.session
    session.delete()
    token = kept_searches.keep(session, "Ada")
    assert kept_searches.text_of(session, token) == ""
    assert not Session.objects.filter(pk=session.session_key).exists()


# --- Cost -----------------------------------------------------------------------------------------------

MANY = """
INSERT INTO accounts_user (misar_id, password, is_superuser, email, name, plan_id, is_staff, is_active,
       created_at, mails_off)
SELECT 'usr_' || n, '!', false, 'mail' || n || '@example.com', 'Name ' || n, 'free', false, true, now(), '{}'
  FROM generate_series(1, 20000) AS n;
INSERT INTO wallet_wallet (user_id, balance, entries_count, created_at)
SELECT 'usr_' || n, 0, 0, now() FROM generate_series(1, 20000) AS n;
INSERT INTO monetization_tip (id, creator_id, gross_cents, fee_cents, net_cents, fee_bps, plan, currency,
       refunded_cents, fee_returned_cents, email, reader, name, message, created_at)
SELECT 'tip_' || n, 'usr_1', 500, 25, 475, 500, 'free', 'USD', 0, 0, '', 'mail' || n || '@example.com',
       CASE WHEN n %% 2 = 0 THEN '' ELSE 'Name ' || n END, '', now()
  FROM generate_series(1, 20000) AS n;
ANALYZE accounts_user; ANALYZE wallet_wallet; ANALYZE monetization_tip
"""
TABLES = {model._meta.db_table for model in (User, Wallet, Tip)}


def test_a_beginning_is_found_by_an_index_and_one_that_all_users_share_reads_few_rows(db, subtests):
    """One test, because to fill the tables takes a hundred times as long as to search them."""
    sql(MANY)
    for sought in (
        "usr_1999",
        "mail1999",
        "name 1999",
        "mail19999@example.com",
        "unknown",
        "Zoë",
        "zoe@bücher.ex",
    ):
        with subtests.test(sought=sought):
            with captured() as asked:
                search.look(sought, may=lambda permission: True)
            read = [
                (node["Node Type"], query)
                for query, nodes in plans_of(asked)
                for node in nodes
                if node.get("Relation Name") in TABLES
            ]
            assert read
            assert not [query for kind, query in read if kind == "Seq Scan"]
    with captured() as asked:
        search.look("u", may=lambda permission: True)
    for query, nodes in plans_of(asked, how="ANALYZE, TIMING OFF, "):
        for node in nodes:
            if node.get("Relation Name") in TABLES:
                assert node["Actual Rows"] + node.get("Rows Removed by Filter", 0) < 1000, query


@pytest.mark.parametrize("model", [User, Wallet, Tip, Subscription, Sponsor])
def test_each_column_that_is_searched_by_its_beginning_has_an_index_for_it(db, model):
    """The databases of the tests sort by code points, where any index serves LIKE; others need this class."""
    looks = [each for each in search.LOOKS if each.table is model]
    columns = {lookup.partition("__")[0] for each in looks for lookup in each.begins} or {"user_id"}
    if "mailbox_begins" in columns:
        columns = columns - {"mailbox_begins"} | {"mailbox", model.COMPARED_FIELD}
    columns = {model._meta.pk.column if column == "pk" else column for column in columns}
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = %s", [model._meta.db_table])
        indexes = [line for (line,) in cursor.fetchall()]
    for column in columns:
        assert [line for line in indexes if column in line and "text_pattern_ops" in line], column
