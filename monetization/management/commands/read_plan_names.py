"""`manage.py read_plan_names [--apply]`: read the billing intervals in the plans' names again."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from foundation.database.patience import patient
from foundation.words import count
from monetization import subscriptions
from monetization.models import Subscription


class Command(BaseCommand):
    help = (
        "Read the billing interval in the plan's name of every subscription again, by the rule of this "
        "release, and list the subscriptions whose interval changes. Changes nothing without --apply; safe "
        "to run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--apply", action="store_true", help="store the new intervals; MRR changes from now on"
        )

    def handle(self, *, apply: bool, **options: Any) -> None:
        number = 0
        with patient():
            for row in subscriptions.with_other_interval():
                number += 1
                # Never print the plan's name, because it may contain an address and output may be stored.
                self.stdout.write(f"{row.pk}: {Subscription.Interval(row.interval).label}")
                if apply:
                    subscriptions.correct_interval(creator=row.creator, subscription_id=row.pk)
        changes = count(number, "subscription")
        self.stdout.write(f"{changes} changed." if apply else f"{changes} would change. Run with --apply.")
