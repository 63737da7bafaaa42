"""The command that prints an SSO access token of the sandbox: `manage.py issue_sso_token --user usr_1`."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.misar_ids import is_users_id


class Command(BaseCommand):
    help = "Print an access token of the sandbox's SSO issuer for a user. Production has no such thing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", required=True, help="the Misar ID")
        parser.add_argument("--expires-in", type=int, default=3600, metavar="SECONDS")

    def handle(self, *, user: str, expires_in: int, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("Tokens are issued by the sandbox only; in production, by the SSO issuer.")
        if not is_users_id(user):
            raise CommandError("A Misar ID is 1 to 255 printable characters and does not begin with staff:")
        # Imported here, because the image of a deployment does not contain the sandbox.
        from sandbox import sso

        self.stdout.write(
            sso.issue_token(
                user_id=user,
                audience=settings.SSO_AUDIENCE,
                issuer=settings.SSO_ISSUER,
                expires_in=expires_in,
            )
        )
