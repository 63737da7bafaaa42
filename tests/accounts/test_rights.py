"""What a service key may do: its rights, its product's stop, and the order in which both are checked."""

from io import StringIO
from typing import Any, cast

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from accounts.errors import FeatureNotAllowed, ProductStopped
from accounts.models import DEFAULT_RIGHTS, Right, ServiceKey, StoppedProduct
from accounts.permissions import IsService, IsServiceOrBearer
from accounts.service_keys import (
    find_service_key,
    issue_service_key,
    let_product_go_on,
    require_may_charge,
    revoke_service_key,
    set_rights,
    stop_product,
)
from tests.conftest import Caller, product
from tests.crowd import at_once
from wallet.api.budgets import BudgetViewSet
from wallet.api.grants import GrantViewSet
from wallet.api.holds import HoldViewSet
from wallet.api.views import WalletViewSet
from wallet.books.funds import available_of
from wallet.models import Entry

pytestmark = pytest.mark.django_db

ARTICLE = "blog.article.generate"
STOPPED = "This product was stopped; no feature may be charged"


def balance(caller: Caller):
    return caller.get("/io/wallet/balance", user_id="usr_1")


def deduct(caller: Caller):
    return caller.deduct()


def topup(caller: Caller):
    body = {"user_id": "usr_1", "amountDollars": 25, "product": "blog", "returnUrl": "/settings"}
    return caller.post("/io/wallet/topup-session", body)


def of_product(path: str, **body):
    """A POST of a product about usr_1."""
    return lambda caller: caller.post(f"/io/wallet/{path}", {"user_id": "usr_1"} | body)


hold = of_product("holds", feature=ARTICLE, idempotency_key="hold")
quote = of_product("quote", feature=ARTICLE)


def remove_budget(caller: Caller):
    return caller.delete("/io/wallet/budgets", user_id="usr_1", period="day")


# Each endpoint that a product may call, and the right that it needs.
NEEDED = {
    "balance": (balance, "read"),
    "funds": (lambda caller: caller.get("/io/wallet/funds", user_id="usr_1"), "read"),
    "transactions": (lambda caller: caller.get("/io/wallet/transactions", user_id="usr_1"), "read"),
    "holds_list": (lambda caller: caller.get("/io/wallet/holds", user_id="usr_1"), "read"),
    "holds_retrieve": (lambda caller: caller.get("/io/wallet/holds/hold_1", user_id="usr_1"), "read"),
    "deduct": (deduct, "charge"),
    "quote": (quote, "charge"),
    "holds_create": (hold, "charge"),
    "holds_capture": (of_product("holds/hold_1/capture"), "charge"),
    "holds_void": (of_product("holds/hold_1/void"), "charge"),
    "holds_extend": (of_product("holds/hold_1/extend", ttl_seconds=60), "charge"),
    "refund": (of_product("refund", charge_key="a", idempotency_key="undo:a"), "refund"),
    "topup_session": (topup, "topup"),
    "grants_create": (lambda caller: caller.grant(), "grant"),
    "grants_void": (of_product("grants/grant_1/void"), "grant"),
    "grants_list": (lambda caller: caller.get("/io/wallet/grants", user_id="usr_1"), "read"),
    "budgets_update": (lambda caller: caller.budget(5), "charge"),
    "budgets_destroy": (remove_budget, "charge"),
    "budgets_list": (lambda caller: caller.get("/io/wallet/budgets", user_id="usr_1"), "read"),
}
# The seed's endpoints answer without a code.
WITHOUT_CODE = {"balance", "transactions", "deduct", "topup_session"}


# --- Rights -----------------------------------------------------------------------------------------


def test_a_key_has_the_rights_of_all_earlier_keys_if_none_are_chosen():
    key, _ = issue_service_key(product="blog")
    assert key.rights == list(DEFAULT_RIGHTS) == ["read", "charge", "refund", "topup"]


def test_a_key_that_the_release_before_creates_has_them_too():
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_servicekey (product, prefix, digest, feature_prefixes, created_at)"
            " VALUES ('blog', 'wsk_12345678', 'd', '{}', now())"
        )
    assert ServiceKey.objects.get().rights == list(DEFAULT_RIGHTS)


def test_rights_are_kept_once_and_in_order():
    key, _ = issue_service_key(product="blog", rights=["topup", "read", "topup"])
    key.refresh_from_db()
    assert key.rights == ["read", "topup"]
    assert [right for right in Right.values if key.may(right)] == ["read", "topup"]


@pytest.mark.parametrize(
    "rights", [[], ["grants"], ["read", ""], ["Read"], ["read,charge"], ["read", "every"]]
)
def test_unknown_rights_and_no_rights_are_refused(rights):
    with pytest.raises(ValidationError):
        issue_service_key(product="blog", rights=rights)
    assert not ServiceKey.objects.exists()
    key, _ = issue_service_key(product="blog", rights=["read"])
    with pytest.raises(ValidationError):
        set_rights(key, rights)
    key.refresh_from_db()
    assert key.rights == ["read"]


@pytest.mark.parametrize("endpoint", NEEDED)
def test_an_endpoint_needs_its_right_and_no_other(endpoint, give, article_rate, sandbox):
    give("usr_1", 5)
    ask, needed = NEEDED[endpoint]
    # No hold and no charge is there to be captured or refunded: 404.
    assert ask(product(rights=[needed])).status_code in (200, 404)
    entries, others = Entry.objects.count(), [right for right in Right if right != needed]
    refused = ask(product(rights=others))
    body: dict[str, Any] = {"error": f"This service key has no right to {Right(needed).label}"}
    if endpoint in ("deduct", "holds_create"):
        body = {"allowed": False} | body
    if endpoint not in WITHOUT_CODE:
        body |= {"code": f"may_not_{needed}"}
    assert (refused.status_code, refused.json()) == (403, body)
    assert Entry.objects.count() == entries


def test_a_user_needs_no_right(as_user):
    assert balance(as_user("usr_1")).status_code == 200
    assert as_user("usr_1").get("/io/wallet/holds", user_id="usr_1").status_code == 200


def test_changed_rights_apply_from_the_next_request_on(give, article_rate):
    give("usr_1", 5)
    key, secret = issue_service_key(product="blog", rights=["read"])
    caller = Caller({"x-wallet-service-key": secret})
    assert deduct(caller).status_code == 403
    set_rights(key, ["charge"])
    assert deduct(caller).json()["allowed"] is True
    assert balance(caller).status_code == 403


def test_a_missing_right_is_judged_after_the_rate_limit_and_before_the_body(settings, one_window):
    settings.WALLET_READS_PER_MINUTE = 2
    caller = product(rights=["topup"])
    assert [balance(caller).status_code for _ in range(3)] == [403, 403, 429]
    assert caller.post("/io/wallet/deduct", raw=b"{").status_code == 403


def test_every_action_for_products_names_its_right():
    """An action that is not named would fail for each service key."""
    for_products = {
        action.__name__
        for action in cast(list[Any], WalletViewSet.get_extra_actions())
        if {IsService, IsServiceOrBearer} & set(action.kwargs.get("permission_classes", ()))
    }
    assert for_products == set(WalletViewSet.rights)
    named = dict(WalletViewSet.rights)
    for name, view, usual in (
        ("holds", HoldViewSet, {"list", "retrieve", "create"}),
        ("grants", GrantViewSet, {"list", "create"}),
        ("budgets", BudgetViewSet, {"list", "update", "destroy"}),
    ):
        extra = {action.__name__ for action in cast(list[Any], view.get_extra_actions())}
        assert extra | usual == set(view.rights)
        named |= {f"{name}_{action}": right for action, right in view.rights.items()}
    assert named == {endpoint: right for endpoint, (_, right) in NEEDED.items()}


# --- The caps of the right to grant -----------------------------------------------------------------

NEEDS_CAPS = "A key that may grant needs two caps: of one grant, and of a month"
OUT_OF_RANGE = "The cap of a grant is 1 to 1,000,000 credits, and that of a month 1 to 1,000,000,000"


@pytest.mark.parametrize(
    ("grant_max", "grant_month_max", "sentence"),
    [
        (None, None, NEEDS_CAPS),
        (1, None, NEEDS_CAPS),
        (None, 1, NEEDS_CAPS),
        (0, 1, OUT_OF_RANGE),
        (1, 0, OUT_OF_RANGE),
        (-1, 1, OUT_OF_RANGE),
        (1_000_001, 1, OUT_OF_RANGE),
        (1, 1_000_000_001, OUT_OF_RANGE),
    ],
)
def test_a_key_may_grant_within_two_caps_only(grant_max, grant_month_max, sentence):
    caps = {"grant_max": grant_max, "grant_month_max": grant_month_max}
    key, _ = issue_service_key(product="blog", rights=["read"])
    for give_right in (
        lambda: issue_service_key(product="blog", rights=["grant"], **caps),
        lambda: set_rights(key, ["grant"], **caps),
    ):
        with pytest.raises(ValidationError) as refused:
            give_right()
        assert refused.value.messages == [sentence]
    key.refresh_from_db()
    assert key.rights == ["read"]
    assert ServiceKey.objects.count() == 1


def test_caps_come_and_go_with_the_right():
    def caps() -> tuple[list[str], int | None, int | None]:
        key.refresh_from_db()
        return key.rights, key.grant_max, key.grant_month_max

    key, _ = issue_service_key(product="blog", rights=["read"], grant_max=5, grant_month_max=6)
    assert caps() == (["read"], None, None)
    set_rights(key, ["grant"], grant_max=1_000_000, grant_month_max=1_000_000_000)
    assert caps() == (["grant"], 1_000_000, 1_000_000_000)
    set_rights(key, ["grant", "read"], grant_max=1, grant_month_max=1)
    assert caps() == (["read", "grant"], 1, 1)
    set_rights(key, ["read"])
    assert caps() == (["read"], None, None)


def test_the_database_keeps_no_right_to_grant_without_caps():
    key, _ = issue_service_key(product="blog", rights=["grant"], grant_max=5, grant_month_max=6)
    for change in ({"grant_max": None}, {"grant_month_max": None}, {"grant_max": 0}, {"grant_month_max": 0}):
        with pytest.raises(IntegrityError), transaction.atomic():
            ServiceKey.objects.filter(pk=key.pk).update(**change)


# --- The command ------------------------------------------------------------------------------------


def made(*arguments: str) -> ServiceKey:
    out = StringIO()
    call_command("create_service_key", "--product", "blog", *arguments, stdout=out, stderr=StringIO())
    return find_service_key(out.getvalue().split()[-1])


def test_the_command_gives_the_rights_that_it_is_asked_for():
    assert made().rights == list(DEFAULT_RIGHTS)
    assert made("--rights", "charge").rights == ["charge"]
    assert made("--rights", "topup, read,read").rights == ["read", "topup"]


def test_the_command_gives_the_right_to_grant_with_its_caps():
    key = made("--rights", "read,grant", "--grant-max", "100", "--grant-month-max", "1000")
    assert (key.rights, key.grant_max, key.grant_month_max) == (["read", "grant"], 100, 1000)
    with pytest.raises(CommandError) as refused:
        made("--rights", "grant", "--grant-max", "100")
    assert str(refused.value) == NEEDS_CAPS


@pytest.mark.parametrize(
    ("rights", "sentence"),
    [
        ("read,chrage,all", "Unknown rights: all, chrage. Known: read, charge, refund, topup, grant"),
        ("", "A key needs at least one right: read, charge, refund, topup, grant"),
        (" , ", "A key needs at least one right: read, charge, refund, topup, grant"),
    ],
)
def test_the_command_says_which_rights_there_are(rights, sentence):
    with pytest.raises(CommandError) as refused:
        made("--rights", rights)
    assert str(refused.value) == sentence
    assert not ServiceKey.objects.exists()


# --- A stopped product ------------------------------------------------------------------------------


def test_a_stopped_product_charges_nothing_until_it_goes_on(give, article_rate):
    give("usr_1", 5)
    blog, mail = product(), product("mail")
    assert blog.deduct(idempotency_key="a").json()["allowed"] is True
    assert stop_product("blog") is True
    for refused in (blog.deduct(), blog.deduct(idempotency_key="a"), blog.deduct(feature="no.such.feature")):
        assert refused.status_code == 403
        assert refused.json() == {"allowed": False, "error": STOPPED}
    assert available_of("usr_1") == 4
    assert mail.deduct().json()["allowed"] is True
    assert let_product_go_on("blog") is True
    assert blog.deduct(idempotency_key="a")["Idempotent-Replayed"] == "true"
    assert blog.deduct().json()["allowed"] is True


def test_a_stop_holds_for_keys_that_are_made_later(article_rate):
    stop_product("blog")
    assert deduct(product()).json() == {"allowed": False, "error": STOPPED}
    assert deduct(product("blog2")).status_code == 200


def test_a_stopped_product_opens_no_hold_and_gets_no_quote(give, article_rate):
    give("usr_1", 5)
    caller = product()
    made = hold(caller).json()
    stop_product("blog")
    refused = {"error": STOPPED, "code": "feature_not_allowed"}
    assert (quote(caller).status_code, quote(caller).json()) == (403, refused)
    assert (hold(caller).status_code, hold(caller).json()) == (403, {"allowed": False} | refused)
    assert of_product(f"holds/{made['holdId']}/capture")(caller).status_code == 200
    assert available_of("usr_1") == 4


def test_reads_refunds_topups_grants_and_budgets_go_on(give, article_rate, sandbox):
    give("usr_1", 5)
    caller = product(rights=Right.values)
    caller.deduct(idempotency_key="a")
    stop_product("blog")
    assert balance(caller).json() == {"credits": 4}
    others = ("funds", "transactions", "holds_list", "refund", "topup_session", "grants_list", "budgets_list")
    for endpoint in (*others, "grants_create", "budgets_update", "budgets_destroy"):
        assert NEEDED[endpoint][0](caller).status_code == 200, endpoint


def test_a_missing_right_and_a_revoked_key_are_judged_first():
    stop_product("blog")
    assert deduct(product(rights=["read"])).json()["error"] == "This service key has no right to charge"
    key, secret = issue_service_key(product="blog")
    revoke_service_key(key)
    assert deduct(Caller({"x-wallet-service-key": secret})).json()["error"] == "Invalid x-wallet-service-key"


def test_stopping_twice_and_letting_go_on_twice_change_nothing():
    assert let_product_go_on("blog") is False
    assert stop_product("blog") is True
    first = StoppedProduct.objects.get()
    assert stop_product("blog") is False
    assert StoppedProduct.objects.get().stopped_at == first.stopped_at
    assert let_product_go_on("blog") is True
    assert let_product_go_on("blog") is False
    assert not StoppedProduct.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_many_who_stop_a_product_at_once_one_does():
    assert sorted(at_once([lambda: stop_product("blog")] * 8)) == [False] * 7 + [True]
    assert sorted(at_once([lambda: let_product_go_on("blog")] * 8)) == [False] * 7 + [True]


def test_the_stop_is_read_with_the_key(django_assert_num_queries):
    _, secret = issue_service_key(product="blog", feature_prefixes=["blog."])
    find_service_key(secret)  # Its use is recorded now, and not again for a minute.
    for _ in range(2):
        with django_assert_num_queries(1):
            key = find_service_key(secret)
            require_may_charge(key, ARTICLE)
            with pytest.raises(FeatureNotAllowed):
                require_may_charge(key, "mail.send")
    stop_product("blog")
    with django_assert_num_queries(1), pytest.raises(ProductStopped):
        require_may_charge(find_service_key(secret), ARTICLE)


def test_the_whole_key_is_read_at_once():
    key, secret = issue_service_key(
        product="blog",
        feature_prefixes=["blog."],
        rights=["charge", "grant"],
        grant_max=10,
        grant_month_max=100,
    )
    found = find_service_key(secret)
    assert found.get_deferred_fields() == set()
    assert [getattr(found, field.attname) for field in ServiceKey._meta.concrete_fields] == [
        getattr(key, field.attname) for field in ServiceKey._meta.concrete_fields
    ]


def test_a_key_that_was_read_without_the_stop_asks_the_database():
    key, _ = issue_service_key(product="blog")
    stop_product("blog")
    with pytest.raises(ProductStopped):
        require_may_charge(key, ARTICLE)
