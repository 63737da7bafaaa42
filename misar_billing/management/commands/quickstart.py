"""`make run`: everything needed to try the service, in one terminal."""

import os
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from misar_billing import database
from misar_billing.sandbox.processes import SANDBOX, WEB, Processes, ProcessTrouble, refuse_busy_ports

WELCOME = """
Misar Billing is running. Ctrl-C stops it; the data stays in {data_dir}.

  The API, to read and to try    {url}/docs
  The back office                {url}/admin/
  The stand-in for Stripe        {sandbox}/
"""
CURL = """
A balance, and a charge against it:

  curl -H 'x-wallet-service-key: {service_key}' '{url}/io/wallet/balance?user_id={user_id}'

  curl -H 'x-wallet-service-key: {service_key}' -H 'Content-Type: application/json' \\
    -d '{{"user_id": "{user_id}", "feature": "{feature}", "idempotency_key": "article:my-first"}}' \\
    {url}/io/wallet/deduct
"""


class Command(BaseCommand):
    help = "Run the service with a sandbox around it: migrate, seed, serve until Ctrl-C. Keeps its data."
    requires_system_checks = []

    def handle(self, **options: Any) -> None:
        host, port, sandbox_port = os.environ["HOST"], int(os.environ["PORT"]), int(os.environ["SANDBOX_PORT"])
        try:
            refuse_busy_ports({"PORT": (host, port), "SANDBOX_PORT": (host, sandbox_port)})
            call_command("migrate", verbosity=0)
            keys = seed()
            with Processes() as processes:
                processes.start("The sandbox", SANDBOX)
                processes.start("The web server", WEB)
                processes.wait_until_healthy("The sandbox", host, sandbox_port)
                processes.wait_until_healthy("The web server", host, port)
                self.stdout.write(welcome(keys))
                self.stdout.flush()
                processes.watch()
        except ProcessTrouble as trouble:
            raise CommandError(str(trouble)) from trouble


def seed() -> dict[str, str]:
    """Put rates, plans and a demonstration's data in place, once; the keys that its curl lines need."""
    from misar_billing.sandbox import seeds

    with database.patient():
        return seeds.seed()


def welcome(keys: dict[str, str]) -> str:
    """Where to look, and lines to paste into a second terminal."""
    text = WELCOME.format(
        url=settings.PUBLIC_URL, sandbox=settings.STRIPE_API_BASE, data_dir=os.environ["DATA_DIR"]
    )
    if "service_key" in keys:
        text += CURL.format_map({"url": settings.PUBLIC_URL, **keys})
    return text
