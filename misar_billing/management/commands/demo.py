"""`make demo`: the whole story on a private server, and whether every promise was kept."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from accounts.keys import issue_service_key
from misar_billing.demo.story import Story
from misar_billing.sandbox import sso
from misar_billing.sandbox.processes import SANDBOX, WEB, Processes, ProcessTrouble


class Command(BaseCommand):
    help = (
        "Tell the story of the wallet over real HTTP on a database of its own: top-up, webhook, charge, "
        "replay, history, a race, a duplicated webhook, and the check of the ledger. Exit code 0 only if "
        "all came out as promised."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--break-a-promise",
            action="store_true",
            help="let the retry forget its idempotency key, to see that a broken promise is noticed",
        )

    def handle(self, *, break_a_promise: bool, **options: Any) -> None:
        call_command("migrate", verbosity=0)
        try:
            broken = self._tell(break_a_promise)
        except ProcessTrouble as trouble:
            raise CommandError(str(trouble)) from trouble
        except SystemExit as interrupted:
            raise CommandError("The story was cut short.") from interrupted
        if broken:
            raise CommandError(f"{len(broken)} promises were broken: {'; '.join(broken)}.")
        self.stdout.write("\nEvery promise was kept.")

    def _tell(self, break_a_promise: bool) -> list[str]:
        host, port = os.environ["HOST"], int(os.environ["PORT"])
        _, secret = issue_service_key(product="blog")
        with Processes() as processes:
            processes.start("The sandbox", SANDBOX)
            processes.start("The web server", WEB)
            processes.wait_until_healthy("The sandbox", host, int(os.environ["SANDBOX_PORT"]))
            processes.wait_until_healthy("The web server", host, port)
            story = Story(
                wallet=settings.PUBLIC_URL,
                sandbox=settings.STRIPE_API_BASE,
                service_key=secret,
                token_for=_token,
                console=Console(file=sys.stdout, soft_wrap=True),
                forget_the_key=break_a_promise,
            )
            broken = story.tell()
        self.stdout.write("\nmanage.py check_ledger")
        try:
            call_command("check_ledger", stdout=self.stdout)
        except (SystemExit, CommandError):
            broken.append("the laws of the books hold")
        return broken


def _token(user_id: str) -> str:
    return sso.issue_token(
        user_id=user_id, audience=settings.SSO_AUDIENCE, issuer=settings.SSO_ISSUER, expires_in=600
    )
