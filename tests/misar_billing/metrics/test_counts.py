"""What is counted about requests and charges, and with which labels."""

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from accounts.models import Right
from misar_billing.metrics import counts
from misar_billing.routes import readable
from tests.conftest import product
from tests.misar_billing.metrics.exposed import Exposed
from wallet.charges import batches
from wallet.models import Wallet

pytestmark = pytest.mark.django_db


@pytest.fixture
def counted():
    """Returns how much each charge counter of `blog` has grown since the beginning, without zeros."""
    begin = Exposed()

    def grown() -> dict[tuple[str, str, str], float]:
        now = Exposed()
        found: dict[tuple[str, str, str], float] = {}
        for family in now.families:
            for sample in family.samples:
                if sample.name != "misar_charges_total":
                    continue
                labels = sample.labels
                before = begin.value(sample.name, **labels)
                if sample.value > before:
                    key = labels["endpoint"], labels["outcome"], labels["reason"]
                    found[key] = found.get(key, 0) + sample.value - before
        return found

    return grown


def test_charges_are_counted_by_what_became_of_them(as_service, give, article_rate, counted):
    give("usr_1", 3)
    as_service.deduct(idempotency_key="a")
    as_service.deduct(idempotency_key="a")
    as_service.deduct(idempotency_key="a", count=2)
    as_service.deduct(count=3)
    as_service.budget(1)
    as_service.deduct(count=2)
    as_service.budget(1000)
    Wallet.objects.filter(pk="usr_1").update(frozen=True)
    as_service.deduct()
    as_service.deduct(feature="none")
    as_service.deduct(count="1")
    as_service.post("/io/wallet/deduct", raw=b"{")
    as_service.post("/io/wallet/deduct", raw=b"", content_type="text/plain")
    as_service.get("/io/wallet/deduct")
    assert counted() == {
        ("deduct", "allowed", ""): 1,
        ("deduct", "replayed", ""): 1,
        ("deduct", "refused", "key_reused"): 1,
        ("deduct", "denied", "credits"): 1,
        ("deduct", "denied", "budget"): 1,
        ("deduct", "denied", "frozen"): 1,
        ("deduct", "refused", "unknown_feature"): 1,
        ("deduct", "refused", "invalid"): 2,
        ("deduct", "refused", "not_json"): 1,
    }


def test_credentials_are_reasons_and_the_product_is_unknown_then(as_anonymous, counted):
    as_anonymous.deduct()
    product(rights=[Right.READ]).deduct()
    assert counted() == {
        ("deduct", "refused", "no_credentials"): 1,
        ("deduct", "refused", "may_not_charge"): 1,
    }


def test_each_charge_of_a_batch_counts(as_service, give, article_rate, counted, monkeypatch):
    give("usr_1", 2)
    item = {"user_id": "usr_1", "feature": article_rate}
    keys = [{"idempotency_key": key} for key in "abc"]
    items = [item | keys[0], item | keys[1], item | keys[0], item | keys[2], item | {"feature": "none"}, {}]
    as_service.post("/io/wallet/deduct/batch", {"items": items})
    monkeypatch.setattr(batches, "SECONDS_MAX", -1.0)  # No time is left to begin one.
    as_service.post("/io/wallet/deduct/batch", {"items": [item | keys[0]]})
    found = counted()
    assert found[("batch", "allowed", "")] == 2
    assert found[("batch", "replayed", "")] == 1
    assert found[("batch", "denied", "credits")] == 1
    assert sum(number for (_, outcome, _), number in found.items() if outcome == "refused") == 2
    assert found[("batch", "failed", "try_again")] == 1


def test_holds_are_counted_and_their_captures_are_requests(as_service, give, article_rate, counted):
    give("usr_1", 2)
    before = Exposed()
    hold = as_service.hold(key="a").json()["holdId"]
    as_service.hold(key="a")
    as_service.hold(key="b", count=5)
    as_service.end(hold, "capture")
    assert counted() == {
        ("hold", "allowed", ""): 1,
        ("hold", "replayed", ""): 1,
        ("hold", "denied", "credits"): 1,
    }
    labels = {"method": "POST", "route": "/io/wallet/holds/<hold_id>/capture", "status": "200"}
    name = "misar_http_requests_total"
    assert Exposed().value(name, **labels) - before.value(name, **labels) == 1


@pytest.mark.breaks_the_books
def test_a_fault_of_ours_is_a_charge_that_failed(as_service, give, article_rate, counted):
    give("usr_1", 5)
    before = Exposed().value("misar_database_errors_total", kind="lock")
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION fault_of_a_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'no' USING ERRCODE = '55P03'; END $$; "
            "CREATE TRIGGER fault_of_a_test BEFORE INSERT ON wallet_entry "
            "FOR EACH ROW EXECUTE FUNCTION fault_of_a_test()"
        )
    assert as_service.deduct().status_code == 503
    assert counted() == {("deduct", "failed", "try_again"): 1}
    assert Exposed().value("misar_database_errors_total", kind="lock") > before


def test_labels_name_routes_and_no_user(as_service, staff, give):
    give("usr_ada", 1)
    as_service.get("/io/wallet/balance", user_id="usr_ada")
    as_service.get("/io/wallet/holds/hold_of_ada", user_id="usr_ada")
    staff.get("/admin/user/usr_ada/")
    Client().get("/usr_ada/usr_ada")
    Client().generic("USR_ADA", "/wallet")
    shown = Exposed()
    for word in ("usr_ada", "USR_ADA", "hold_of_ada"):
        assert word not in shown.text
    routes = {
        sample.labels["route"]
        for family in shown.families
        for sample in family.samples
        if "route" in sample.labels
    }
    assert {
        "/io/wallet/balance",
        "/io/wallet/holds/<hold_id>",
        "/admin/user/<object_id>/",
        "(unknown)",
    } <= routes


def test_time_is_counted_in_seconds(as_service):
    as_service.get("/io/wallet/rates")
    shown = Exposed()
    labels = {"method": "GET", "route": "/io/wallet/rates"}
    name = "misar_http_request_duration_seconds"
    assert shown.value(f"{name}_count", **labels) == shown.value(f"{name}_bucket", le="+Inf", **labels) >= 1
    assert 0 < shown.value(f"{name}_sum", **labels) < 600


def test_a_page_is_counted_by_its_template_and_an_api_request_is_not(staff):
    def templates() -> float:
        return Exposed().value("misar_page_bytes_count")

    before = templates()
    staff.get("/admin/")
    assert templates() == before + 1


def test_a_query_that_fails_is_counted_once(db):
    def errors() -> float:
        return Exposed().value("misar_database_errors_total", kind="data")

    before = errors()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")
    assert errors() == before + 1


@pytest.mark.parametrize(
    ("route", "shown"),
    [
        ("", "/"),
        ("io/wallet/holds/<str:hold_id>/capture", "/io/wallet/holds/<hold_id>/capture"),
        ("^sign-in/(?P<provider_id>misar)/callback$", "/sign-in/<provider_id>/callback"),
        ("admin/^(?P<app_label>monetization|wallet)/$", "/admin/<app_label>/"),
        ("admin/(?P<url>.*)$", "/admin/<url>"),
    ],
)
def test_a_route_is_shown_as_a_path(route, shown):
    assert readable(route) == shown


def test_methods_that_callers_make_up_are_not_remembered(client):
    client.generic("MADE-UP-0", "/wallet")
    before = counts._requests_of.cache_info().currsize
    for number in range(1, 20):
        client.generic(f"MADE-UP-{number}", "/wallet")
    assert counts._requests_of.cache_info().currsize == before
