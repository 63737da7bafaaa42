"""gunicorn and a private PostgreSQL for one test, which may stop or kill them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, contextmanager

import pytest
import requests
from django.conf import settings

from foundation.database import configuration
from sandbox import postgres_programs
from sandbox.environment import free_port
from sandbox.private_postgres import PrivateServer
from sandbox.signals import send
from tests.conftest import paid_checkout, signed

# Tests of a request's limits make each limit this many times longer, and the expected total too. So the extra
# time of a busy machine is not mistaken for a wait too many. Tests of something else have `limits.PATIENCE`.
TIMES = 4


class Deployment:
    """gunicorn with two workers on its own private PostgreSQL; its limits are so many `times` longer."""

    def __init__(self, data_dir, *, times=TIMES):
        self.server = PrivateServer(data_dir)
        self.port = free_port()
        self.internal_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.secret = "whsec_of_a_deployment"
        self.service_key = ""
        dropped = ("DATABASE_URL", "TEST_DATABASE_NAME")
        inherited = {name: value for name, value in os.environ.items() if name not in dropped}
        self.environment = inherited | {
            "DATA_DIR": str(data_dir),
            "PORT": str(self.port),
            "INTERNAL_PORT": str(self.internal_port),
            "PUBLIC_URL": self.url,
            "ALLOWED_HOSTS": "127.0.0.1",
            "STRIPE_WEBHOOK_SECRETS": self.secret,
            "WEB_WORKERS": "2",
            "LOG_LEVEL": "ERROR",
            "LIMITS_TIMES": str(times),
        }

    def manage(self, *command):
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=settings.BASE_DIR,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=1800,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]

    @contextmanager
    def serving(self):
        command = ["-m", "gunicorn", "--config", "python:tests.unhurried_server", "misar_billing.wsgi"]
        process = subprocess.Popen([sys.executable, *command], cwd=settings.BASE_DIR, env=self.environment)
        try:
            eventually(self.is_healthy)
            yield
        finally:
            process.terminate()
            process.wait(timeout=120)

    def is_healthy(self):
        try:
            return requests.get(f"{self.url}/health", timeout=120).ok
        except requests.ConnectionError:
            return False

    def credit(self, credits):
        assert self.deliver(paid_checkout(amount_total=credits * 100))

    def deliver(self, event):
        """Send an event to the webhook, as Stripe does. Return whether it was received."""
        body = json.dumps(event)
        header = {"Stripe-Signature": signed(body, secret=self.secret)}
        answer = requests.post(f"{self.url}/io/wallet/webhook", body, headers=header, timeout=120)
        return answer.json() == {"received": True}

    def deduct(self, key):
        """One answer, and how long it took."""
        body = {"user_id": "usr_1", "feature": "mail.send", "idempotency_key": key}
        began = time.monotonic()
        return self.post("/io/wallet/deduct", body), time.monotonic() - began

    def post(self, path, body):
        headers = {"x-wallet-service-key": self.service_key}
        return requests.post(f"{self.url}{path}", json=body, headers=headers, timeout=120)

    def balance(self):
        headers = {"x-wallet-service-key": self.service_key}
        query = {"user_id": "usr_1"}
        return requests.get(f"{self.url}/io/wallet/balance", query, headers=headers, timeout=120).json()[
            "credits"
        ]

    def kill_the_database(self):
        send(self.postmaster(), signal.SIGKILL)

    def postmaster(self) -> int:
        pid = self.server.pid()
        assert pid is not None
        return pid


def eventually(fact: Callable[..., object], seconds: float = 120) -> None:
    """Wait for a fact."""
    give_up_at = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < give_up_at, "it did not happen in time"
        time.sleep(0.05)


@contextmanager
def deployed(data_dir, *, times=TIMES):
    """A running one, with 100 credits for usr_1. Skips the test if there is no PostgreSQL to start."""
    try:
        postgres_programs.find_programs(os.environ)
    except configuration.NoDatabase as missing:
        pytest.skip(str(missing))
    deployment = Deployment(data_dir, times=times)
    with ExitStack() as stack:
        stack.enter_context(deployment.server.lease(create=True))
        deployment.manage("migrate")
        deployment.service_key = deployment.manage("create_service_key", "--product", "blog")
        stack.enter_context(deployment.serving())
        deployment.credit(100)
        yield deployment
