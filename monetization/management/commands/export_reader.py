"""`manage.py export_reader reader@example.com` prints the stored data of one reader."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from monetization.errors import NotAnAddress
from monetization.privacy import readers


class Command(BaseCommand):
    help = "Print everything kept about one reader, over all creators, as JSON."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="the reader's e-mail address, in any spelling")

    def handle(self, *, email: str, **options: Any) -> None:
        try:
            kept = readers.export(email)
        except NotAnAddress as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(json.dumps(kept, indent=2, ensure_ascii=False))
