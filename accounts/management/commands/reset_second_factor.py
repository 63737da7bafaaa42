"""The command that deletes a staff member's second factor.

Use this command if a staff member lost the phone and the recovery codes, and no colleague can delete the
second factor in the back-office.
"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.misar_ids import is_misar_id
from accounts.models import User
from accounts.signing_in import second_factor


class Command(BaseCommand):
    help = "Delete a user's second factor; the next sign-in sets up another one. Safe to run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", required=True, help="The Misar ID, such as staff:ada.")

    def handle(self, *, user: str, **options: Any) -> None:
        found = User.objects.filter(pk=user).first() if is_misar_id(user) else None
        if found is None:
            raise CommandError(f"There is no user {user}.")
        done = "reset" if second_factor.reset(found) else "not set up"
        self.stdout.write(f"The second factor of {user} is {done}.")
