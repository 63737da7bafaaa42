"""A real gunicorn with load, read as Prometheus and as a log shipper read it."""

import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from django.conf import settings
from django.db import connection
from prometheus_client.parser import text_string_to_metric_families

from accounts.service_keys import issue_service_key
from misar_billing.metrics import processes
from sandbox.environment import free_port
from tests import databases
from tests.conftest import paid_checkout, signed
from tests.deployment import eventually
from tests.limits import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

READER, TOKEN, PASSWORD = (
    "ada.reader@example.com",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c3JfMSJ9.c2lnbmF0dXJl",
    "pa55word",
)
SECRET = "whsec_of_the_log_test"
CHARGES, THREADS = 40, 4
# What neither the log nor the metrics may contain; last, the caller's address, as gunicorn names it.
NEVER = (READER, "ada.reader", "usr_1", TOKEN, PASSWORD, SECRET, "wsk_", "DETAIL", "ip=127")
# As a fault of ours would: PostgreSQL repeats the row's values in its error.
FAULT = f"""
    CREATE FUNCTION fault_of_a_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'duplicate key of {READER}'
              USING ERRCODE = 'unique_violation', DETAIL = 'Key (email)=({READER}) already exists.';
    END $$;
    CREATE TRIGGER fault_of_a_test BEFORE INSERT ON accounts_ratecounter
        FOR EACH ROW EXECUTE FUNCTION fault_of_a_test()
"""
REPAIR = "DROP FUNCTION fault_of_a_test() CASCADE"


class Served:
    """gunicorn on the database of this test, with its log in a file."""

    def __init__(self, log: Path) -> None:
        self.log, self.port, self.internal_port = log, free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.secret = issue_service_key(product="blog")[1]
        environment = os.environ | {
            "DATABASE_URL": databases.url(),
            "PORT": str(self.port),
            "INTERNAL_PORT": str(self.internal_port),
            "ALLOWED_HOSTS": "127.0.0.1",
            "STRIPE_WEBHOOK_SECRETS": SECRET,
            "WEB_WORKERS": "2",
            "WEB_THREADS": "4",
            "LOG_FORMAT": "json",
            "LOG_REQUESTS": "true",
            "LIMITS_TIMES": str(PATIENCE),
        }
        command = [sys.executable, "-m", "gunicorn", "--config", "python:tests.unhurried_server"]
        with log.open("w") as stream:
            self.process = subprocess.Popen(
                [*command, "misar_billing.wsgi"], cwd=settings.BASE_DIR, env=environment, stderr=stream
            )

    def get(self, path: str, **options) -> requests.Response:
        return requests.get(f"{self.url}{path}", timeout=60, **options)

    def post(self, path: str, body, **headers: str) -> requests.Response:
        headers = {"x-wallet-service-key": self.secret} | headers
        return requests.post(f"{self.url}{path}", json=body, headers=headers, timeout=60)

    def is_up(self) -> bool:
        try:
            return self.get("/health").ok
        except requests.ConnectionError:
            return False

    def deduct(self, key: str, **headers: str) -> requests.Response:
        body = {"user_id": "usr_1", "feature": "mail.send", "idempotency_key": key}
        return self.post("/io/wallet/deduct", body, **headers)

    def deliver(self, event: dict) -> requests.Response:
        body = json.dumps(event)
        headers = {"Stripe-Signature": signed(body, secret=SECRET)}
        return requests.post(f"{self.url}/io/wallet/webhook", body, headers=headers, timeout=60)

    def metrics(self) -> str:
        """The text that Prometheus reads."""
        answer = requests.get(f"http://127.0.0.1:{self.internal_port}/metrics", timeout=60)
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return answer.text

    def folder(self) -> Path:
        """Where its workers count: the master holds a file there open."""
        opened = [os.readlink(each) for each in Path(f"/proc/{self.process.pid}/fd").iterdir()]
        return Path(next(name for name in opened if processes.PREFIX in name)).parent

    def workers(self) -> list[int]:
        return [
            int(pid)
            for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=120)


@pytest.fixture
def served(db, tmp_path):
    one = Served(tmp_path / "log")
    try:
        eventually(one.is_up)
        yield one
    finally:
        one.stop()


def samples(text: str) -> dict[str, float]:
    """Each sample by its name and labels, as Prometheus parses them."""
    return {
        sample.name + json.dumps(sample.labels, sort_keys=True): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def charges(text: str, outcome: str, reason: str = "") -> float:
    return samples(text).get(
        "misar_charges_total"
        + json.dumps({"endpoint": "deduct", "outcome": outcome, "product": "blog", "reason": reason}),
        0,
    )


def events_of(log: Path) -> list[dict]:
    """Each line of the log, as a log shipper parses it."""
    return [json.loads(line) for line in log.read_text().splitlines()]


def make_trouble(served: Served) -> requests.Response:
    """Send what callers get wrong, with addresses and secrets in it. Return the answer to a fault of ours."""
    parked = paid_checkout("cs_parked", currency="eur", customer_email=READER, user_id=READER)
    assert served.deliver(parked).ok
    wrong = {"Authorization": f"Bearer {TOKEN}"}
    assert served.get("/io/wallet/balance", headers=wrong, params={"email": READER}).status_code == 401
    assert served.post("/io/wallet/deduct", {}, **{"x-wallet-service-key": "wsk_wrong"}).status_code == 403
    served.get(f"/wallet/{READER}?token={TOKEN}&next={READER}")
    served.get(f"/admin/user/{READER}/", auth=(READER, PASSWORD))
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as raw:
        raw.sendall(f"GET /?q={READER} NO HTTP\r\n\r\n".encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 400")
    with connection.cursor() as cursor:
        cursor.execute(FAULT)
        try:
            credentials = {"x-wallet-service-key": served.secret}
            return served.get("/io/wallet/balance", headers=credentials, params={"user_id": READER})
        finally:
            cursor.execute(REPAIR)


def test_the_metrics_and_the_log_tell_what_happened_and_name_no_person(served):
    assert served.deliver(paid_checkout(amount_total=100 * (CHARGES + 100))).ok
    with ThreadPoolExecutor(THREADS) as threads:
        answers = list(threads.map(served.deduct, map(str, range(CHARGES))))
    assert all(answer.json()["allowed"] for answer in answers)
    served.deduct("0")
    served.post("/io/wallet/deduct", {"user_id": READER, "feature": "mail.send"})
    traced = served.deduct("traced", **{"X-Request-ID": "trace-1"})
    forged = served.deduct("forged", **{"X-Request-ID": 'a" {}'})
    failed = make_trouble(served)
    assert failed.status_code == 500

    text = served.metrics()
    assert (charges(text, "allowed"), charges(text, "replayed")) == (CHARGES + 2, 1)
    assert charges(text, "denied", "credits") == 1
    found = samples(text)
    assert found['misar_stripe_events{"state": "parked"}'] == 1
    assert found["misar_database_up{}"] == 1
    assert found["misar_web_threads{}"] == 8
    served.stop()
    log = served.log.read_text()
    for shown in (text, log):
        assert [word for word in (*NEVER, served.secret[:12]) if word in shown] == []

    events = events_of(served.log)
    for event in events:
        assert {"time", "level", "logger", "event"} <= event.keys()
        time = datetime.fromisoformat(event["time"])
        assert event["time"].endswith("Z")
        assert abs(datetime.now(UTC) - time).total_seconds() < 3600
    lines = {event["request_id"]: event for event in events if event["event"] == "request"}
    assert [line["path"] for line in lines.values()].count("/io/wallet/deduct") == CHARGES + 5
    assert {"method": "POST", "product": "blog", "status": 200}.items() <= lines["trace-1"].items()
    assert traced.headers["X-Request-ID"] == "trace-1"
    assert lines[forged.headers["X-Request-ID"]]["status"] == 200
    error = next(event for event in events if "traceback" in event)
    assert error["request_id"] == failed.headers["X-Request-ID"]
    assert (error["level"], error["error"]) == ("error", "django.db.utils.IntegrityError")
    assert error["event"] == "Unexpected failure on /io/wallet/balance"
    assert 'File "' in error["traceback"]
    of_gunicorn = " ".join(event["event"] for event in events if event["logger"] == "gunicorn.error")
    assert "Booting worker" in of_gunicorn
    assert "Invalid request from -" in of_gunicorn


def test_the_counts_of_a_killed_worker_stay(served):
    served.deliver(paid_checkout())
    for key in range(8):
        served.deduct(str(key))
    folder = served.folder()
    killed, _ = served.workers()
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: len({*served.workers()} - {killed}) == 2)
    eventually(lambda: not list(folder.glob(f"*_{killed}.db")))
    for key in range(8, 16):
        served.deduct(str(key))
    text = served.metrics()
    assert charges(text, "allowed") == 16
    assert samples(text)["misar_http_requests_in_progress{}"] == 0
    assert served.get("/metrics").status_code == 404
    served.stop()
    assert not folder.exists()
