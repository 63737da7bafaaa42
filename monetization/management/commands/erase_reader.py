"""`manage.py erase_reader reader@example.com --apply` erases the data of one reader."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.actors import OPERATOR
from foundation.database.patience import patient
from monetization.errors import NotAnAddress
from monetization.privacy import erasure, readers


class Command(BaseCommand):
    help = (
        "Erase one reader's address, name and messages wherever they are kept. Amounts, ids and dates stay. "
        "Changes nothing without --apply; safe to run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="the reader's e-mail address, in any spelling")
        parser.add_argument("--apply", action="store_true", help="really erase; there is no way back")

    def handle(self, *, email: str, apply: bool, **options: Any) -> None:
        # Never print the address, because output may be stored in logs.
        try:
            self.stdout.write(self._erase(email) if apply else self._would_erase(email))
        except NotAnAddress as refusal:
            raise CommandError(str(refusal)) from refusal

    def _would_erase(self, email: str) -> str:
        kept = readers.export(email)
        tips, subscriptions = len(kept["tips"]), len(kept["subscriptions"])
        return f"Would erase {tips} tips and {subscriptions} subscriptions. Run with --apply."

    def _erase(self, email: str) -> str:
        with patient():
            erased = erasure.erase(email, actor=OPERATOR)
        return f"Erased {erased.tips} tips and {erased.subscriptions} subscriptions."
