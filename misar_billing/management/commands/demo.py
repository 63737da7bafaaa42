"""The command that `make demo` runs. It uses a wallet on a private server and checks each promised result."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand


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
        # Imported here, because the image of a deployment contains neither the demonstration nor the sandbox.
        from demo import make_demo

        make_demo.run(self.stdout, forget_the_key=break_a_promise)
