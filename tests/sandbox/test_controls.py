"""The JSON controls under /_sandbox/, and when a sandbox refuses to start."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.sandbox.conftest import KEY, ROOT, StandIn, environment_of

DEFAULTS: dict[str, Any] = {
    "drop_webhooks": False,
    "drop_share": 0,
    "double_webhooks": False,
    "webhook_delay_seconds": 0,
    "shuffle_seconds": 0,
    "api_delay_seconds": 0,
    "api_failure": None,
    "refunds_pending": False,
    "redirect_origins": [],
    "code_seconds": 60,
}


def post(stand_in: StandIn, path: str, **options: Any) -> requests.Response:
    return requests.post(f"{stand_in.url}/_sandbox/{path}", timeout=120, **options)


def test_only_the_named_settings_change(stand_in: StandIn):
    assert stand_in.look("settings") == DEFAULTS
    stand_in.control("settings", drop_webhooks=True)
    assert stand_in.control("settings", api_failure=503) == DEFAULTS | {
        "drop_webhooks": True,
        "api_failure": 503,
    }
    stand_in.control("reset")
    assert stand_in.look("settings") == DEFAULTS


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_the_api_fails_when_it_is_set_to_fail(stand_in: StandIn, status: int):
    stand_in.control("settings", api_failure=status)
    answer = stand_in.raw("GET", "/v1/checkout/sessions")
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_the_api_is_as_slow_as_it_is_set(stand_in: StandIn):
    stand_in.control("settings", api_delay_seconds=0.5)
    assert stand_in.raw("GET", "/v1/checkout/sessions").elapsed.total_seconds() >= 0.5


@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        ("settings", {"json": {"colour": "red"}}, 400),
        ("settings", {"json": {"drop_webhooks": "yes"}}, 409),
        ("settings", {"json": {"api_failure": 200}}, 409),
        ("settings", {"json": {"webhook_delay_seconds": -1}}, 409),
        ("settings", {"json": {"drop_share": 1.01}}, 409),
        ("settings", {"json": {"drop_share": True}}, 409),
        ("settings", {"json": {"double_webhooks": 1}}, 409),
        ("settings", {"json": {"shuffle_seconds": 3601}}, 409),
        ("settings", {"json": {"refunds_pending": None}}, 409),
        ("settings", {"json": {"code_seconds": "60"}}, 409),
        ("settings", {"json": {"redirect_origins": "http://localhost:8123"}}, 409),
        ("settings", {"json": {"redirect_origins": ["http://localhost:8123/"]}}, 409),
        ("settings", {"json": {"redirect_origins": ["localhost:8123"]}}, 409),
        ("settings", {"data": "{"}, 400),
        ("settings", {"json": []}, 400),
        ("sessions/cs_test_nothing/pay", {}, 404),
        ("sessions/cs_test_nothing/refund", {"json": {"amount": 0}}, 400),
        ("sessions/cs_test_nothing/refund", {"json": {"amount": 1}}, 404),
        ("sessions/cs_test_nothing/fly", {}, 404),
        ("sessions/cs_test_nothing/refund", {"json": {"status": "failed"}}, 400),
        ("sessions/cs_test_nothing/dispute", {"json": {"kind": "quarrel"}}, 400),
        ("refunds/re_nothing/fail", {}, 404),
        ("refunds/re_nothing/cancel", {}, 404),
        ("refunds/re_nothing/fly", {}, 404),
        ("disputes/dp_nothing/win", {}, 404),
        ("disputes/dp_nothing/win", {"json": {"later": 1}}, 400),
        ("disputes/dp_nothing/win_part", {}, 400),
        ("disputes/dp_nothing/reinstate", {"json": {"amount": 1.5}}, 400),
        ("disputes/dp_nothing/fly", {}, 404),
        ("events/evt_nothing/resend", {}, 404),
        ("events/evt_nothing/resend", {"json": {"times": 1.5}}, 400),
    ],
)
def test_an_invalid_body_is_refused_with_a_sentence(
    stand_in: StandIn, path: str, options: dict[str, Any], status: int
):
    answer = post(stand_in, path, **options)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert stand_in.look("settings") == DEFAULTS


def test_another_site_in_a_browser_cannot_use_the_controls(stand_in: StandIn):
    session_id = stand_in.new_session().id
    headers = {"Origin": "https://evil.example"}
    assert post(stand_in, f"sessions/{session_id}/pay", headers=headers).status_code == 403
    assert (
        requests.post(f"{stand_in.url}/c/pay/{session_id}", {"action": "pay"}, timeout=120).status_code == 403
    )
    assert stand_in.stripe.v1.checkout.sessions.retrieve(session_id).status == "open"


def test_an_unknown_host_name_is_refused(stand_in: StandIn):
    """A site that points its own host name at 127.0.0.1 can't reach the sandbox."""
    answer = requests.get(f"{stand_in.url}/_sandbox/sessions", headers={"Host": "evil.example"}, timeout=120)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ENVIRONMENT": "production"}, "ENVIRONMENT"),
        ({"ENVIRONMENT": ""}, "ENVIRONMENT"),
        ({"STRIPE_SECRET_KEY": ""}, "STRIPE_SECRET_KEY"),
        ({"STRIPE_SECRET_KEY": "sk_live_1"}, "live key"),
        ({"STRIPE_WEBHOOK_SECRETS": ""}, "STRIPE_WEBHOOK_SECRETS"),
        ({"SANDBOX_WEBHOOK_URL": ""}, "PUBLIC_URL"),
    ],
)
def test_it_refuses_to_start_in_the_wrong_environment(tmp_path: Path, changes: dict[str, str], reason: str):
    environment = environment_of(tmp_path, "http://127.0.0.1:9/", **changes)
    command = [sys.executable, "-m", "sandbox"]
    ended = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1
    assert reason in ended.stderr
    assert KEY not in ended.stderr
    assert not (tmp_path / "sandbox").exists()
