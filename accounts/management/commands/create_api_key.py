"""The command that creates an API key: `manage.py create_api_key --user usr_1 --scopes monetization,read`."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from accounts import api_keys
from accounts.misar_ids import is_users_id
from accounts.models import User
from foundation.text import beginning
from foundation.validators import validate_line


class Command(BaseCommand):
    help = (
        "Make an msk_ key for a user and print it, alone, on the last line. It is not shown again. "
        "The user is made if need be; the plan's limit of keys does not bind operators."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", required=True, help="the Misar ID of the key's owner")
        parser.add_argument(
            "--scopes",
            default=",".join(api_keys.DEFAULT_SCOPES),
            help="separated by commas: monetization,read",
        )
        parser.add_argument("--name", default="Made by an operator", help="what the owner will see")

    def handle(self, *, user: str, scopes: str, name: str, **options: Any) -> None:
        requested = [scope.strip() for scope in scopes.split(",")]
        if unknown := [scope for scope in requested if scope not in api_keys.SCOPES]:
            raise CommandError(f"Unknown scopes: {', '.join(unknown)}. Known: {', '.join(api_keys.SCOPES)}")
        if not is_users_id(user):
            raise CommandError("A Misar ID is 1 to 255 printable characters and does not begin with staff:")
        name = beginning(name, api_keys.NAME_LENGTH)
        try:
            validate_line(name)
            owner = User.objects.filter(pk=user).first() or User.objects.create_user(user)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        key, secret = api_keys.issue(owner=owner, name=name, scopes=requested, within_limit=False)
        self.stderr.write(f"Key {key} made for {owner}. Keep it now: only its digest is stored.")
        self.stdout.write(secret)
