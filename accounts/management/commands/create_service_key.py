"""The command that creates a service key: `manage.py create_service_key --product blog`."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from accounts.models import DEFAULT_RIGHTS, Right
from accounts.service_keys import issue_service_key


class Command(BaseCommand):
    help = (
        "Make a service key for a product and print it, alone, on the last line. It is not shown again. "
        "A product may have several keys, so that it can use a new key before the old one is revoked."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--product", required=True, help="the product that charges, such as blog")
        parser.add_argument(
            "--feature-prefix",
            action="append",
            default=[],
            dest="feature_prefixes",
            help="let the key charge only features that begin with this prefix; may be repeated",
        )
        parser.add_argument(
            "--rights",
            default=",".join(DEFAULT_RIGHTS),
            help=f"what the key may do, separated by commas; any of {','.join(Right.values)}; by default "
            "%(default)s",
        )
        parser.add_argument(
            "--grant-max",
            type=int,
            metavar="CREDITS",
            help="with the right to grant: the most credits of one grant",
        )
        parser.add_argument(
            "--grant-month-max",
            type=int,
            metavar="CREDITS",
            help="with the right to grant: the most credits that the product may grant in a UTC month",
        )

    def handle(self, *, product: str, feature_prefixes: list[str], rights: str, **options: Any) -> None:
        chosen = [right.strip() for right in rights.split(",") if right.strip()]
        try:
            key, secret = issue_service_key(
                product=product,
                feature_prefixes=feature_prefixes,
                rights=chosen,
                grant_max=options["grant_max"],
                grant_month_max=options["grant_month_max"],
            )
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        self.stderr.write(f"Service key {key} made. Copy its secret now: it is not shown again.")
        self.stdout.write(secret)
