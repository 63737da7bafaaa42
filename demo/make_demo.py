"""What `make demo` does: tell the story on a private server, and report whether every promise was kept."""

import os
import sys

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError, OutputWrapper
from rich.console import Console

from accounts.models import Right
from accounts.service_keys import GRANT_MAX, GRANT_MONTH_MAX, issue_service_key
from demo.story import Story
from sandbox import claim, sso
from sandbox.processes import SANDBOX, WEB, Processes, ProcessTrouble


def run(stdout: OutputWrapper, *, forget_the_key: bool = False) -> None:
    """Migrate and tell the story. Raises CommandError if a promise was broken."""
    try:
        with claim.claimed(is_private=True):  # manage.py has dropped DATABASE_URL.
            call_command("migrate", verbosity=0)
            broken = _tell(stdout, forget_the_key=forget_the_key)
    except ProcessTrouble as trouble:
        raise CommandError(str(trouble)) from trouble
    except SystemExit as interrupted:
        raise CommandError("The story was interrupted.") from interrupted
    if broken:
        raise CommandError(f"{len(broken)} promises were broken: {'; '.join(broken)}.")
    stdout.write("\nEvery promise was kept.")


def _tell(stdout: OutputWrapper, *, forget_the_key: bool) -> list[str]:
    """The promises that were not kept."""
    host, port = os.environ["HOST"], int(os.environ["PORT"])
    _, secret = issue_service_key(
        product="blog", rights=Right.values, grant_max=GRANT_MAX, grant_month_max=GRANT_MONTH_MAX
    )
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
            forget_the_key=forget_the_key,
        )
        broken = story.tell()
    stdout.write("\nmanage.py check_ledger")
    try:
        call_command("check_ledger", stdout=stdout)
    except (SystemExit, CommandError):
        broken.append("the laws of the books hold")
    return broken


def _token(user_id: str) -> str:
    return sso.issue_token(
        user_id=user_id, audience=settings.SSO_AUDIENCE, issuer=settings.SSO_ISSUER, expires_in=600
    )
