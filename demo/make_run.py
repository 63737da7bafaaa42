"""What `make run` does: start everything needed to try the service, in one terminal."""

import os
from datetime import date
from io import StringIO
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError, OutputWrapper
from django.db import Error

from demo import granted_credits, held_credits, reversed_payments, year_of_data
from foundation.database import patience
from foundation.errors import first_line
from foundation.operators import FOUND, database_read
from monetization.days import closing as creators_days
from sandbox import claim, environment
from sandbox.private_postgres import PrivateServer
from sandbox.processes import MAIL, SANDBOX, SEAL, TIDY, WEB, Processes, ProcessTrouble, refuse_busy_ports
from wallet.books import days, months

WELCOME = """
Misar Billing is running. Ctrl-C stops it; the data stays in {data_dir}.

  The wallet of a user           {url}/wallet  (sign in as {user_name};
                                 {debtor} owes credits after a dispute,
                                 {holder} has open holds, {frozen} is frozen,
                                 {granted} has granted credits and budgets)
  Their dashboard as a creator   {url}/dashboard
  The API documentation          {url}/docs
  The back-office                {url}/admin/  (user {staff}, password {staff_password},
                                 code from {sandbox}/second-factor)
  The sandbox: Stripe, sign-in   {sandbox}/
  and the mail that was sent

Read a balance, charge it, and get a page to buy credits on:

  curl -H 'x-wallet-service-key: {service_key}' '{url}/io/wallet/balance?user_id={user_id}'

  curl -H 'x-wallet-service-key: {service_key}' -H 'Content-Type: application/json' \\
    -d '{{"user_id": "{user_id}", "feature": "{feature}", "idempotency_key": "article:my-post-slug"}}' \\
    {url}/io/wallet/deduct

  curl -H 'x-wallet-service-key: {service_key}' -H 'Content-Type: application/json' \\
    -d '{{"user_id": "{user_id}", "amountDollars": 25, "product": "blog", "returnUrl": "/docs"}}' \\
    {url}/io/wallet/topup-session

Record a tip for a creator, and read what they earned:

  curl -H 'Authorization: Bearer {api_key}' -H 'Content-Type: application/json' \\
    -d '{{"amount_cents": 500, "name": "Alex", "message": "Great newsletter!"}}' \\
    {url}/mail/v1/monetization/tip

  curl -H 'Authorization: Bearer {api_key}' {url}/mail/v1/monetization/stats
"""


def run(stdout: OutputWrapper) -> None:
    """Migrate, seed, and serve until Ctrl-C. Refuses a database that is not a sandbox's."""
    # manage.py has prepared the sandbox's environment, so these are set.
    host, port = os.environ["HOST"], int(os.environ["PORT"])
    sandbox_port = int(os.environ["SANDBOX_PORT"])
    server = None if os.environ.get("DATABASE_URL") else PrivateServer(Path(os.environ["DATA_DIR"]))

    def say(sentence: str) -> None:
        stdout.write(sentence)
        stdout.flush()

    try:
        refuse_busy_ports({"PORT": (host, port), "SANDBOX_PORT": (host, sandbox_port)})
        with claim.claimed(is_private=server is not None):
            environment.remember_database(os.environ)
            call_command("migrate", verbosity=0)
            keys = seed()
            with Processes(server, say) as processes:
                processes.start("The sandbox", SANDBOX)
                processes.start("The web server", WEB)
                processes.start("The mail sender", MAIL)
                processes.start("The tidier", TIDY)
                processes.start("The sealer", SEAL)
                processes.wait_until_healthy("The sandbox", host, sandbox_port)
                processes.wait_until_healthy("The web server", host, port)
                say(welcome(keys))
                check_the_books()
                processes.watch()
    except ProcessTrouble as trouble:
        raise CommandError(str(trouble)) from trouble
    except Error as error:
        raise CommandError(f"{database_read()} cannot be used: {first_line(error)}") from error


def seed() -> dict[str, str]:
    """Create rates and the demonstration's data, once. Returns the keys and names that `welcome` shows."""
    with patience.patient():
        names_and_keys = year_of_data.seed()
        reversed_payments.seed()
        held_credits.seed()
        granted_credits.seed()
        # An earlier run may have closed days for which entries were just written.
        days.reopen(date.min)
        days.close_days()
        months.close_months()
        creators_days.reopen(date.min)
        creators_days.close_days()
    others = {
        "holder": held_credits.HOLDER,
        "frozen": held_credits.FROZEN,
        "granted": granted_credits.GRANTED,
    }
    return names_and_keys | others | {"debtor": reversed_payments.DEBTOR}


def check_the_books() -> None:
    """Run the nightly checks once, so the back-office shows their time and result."""
    checks = (("check_ledger",), ("check_ledger", "--seals"), ("reconcile_stripe",))
    for command in (("seal_ledger",), *checks, ("read_payouts",)):
        try:
            call_command(*command, stdout=StringIO(), stderr=StringIO())
        except CommandError:
            pass  # The back-office also shows that a check could not look.
        except SystemExit as end:
            if end.code != FOUND:
                raise  # A signal stops us.


def welcome(keys: dict[str, str]) -> str:
    """The addresses, and commands to paste into a second terminal."""
    return WELCOME.format(
        url=settings.PUBLIC_URL, sandbox=settings.STRIPE_API_BASE, data_dir=os.environ["DATA_DIR"], **keys
    )
