"""The command that encrypts the secrets of second factors again, after SECRET_KEY was changed."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.signing_in import second_factor


class Command(BaseCommand):
    help = (
        "Encrypt every second factor with SECRET_KEY, reading it with SECRET_KEY_FALLBACKS where need be; "
        "afterwards those can go. Safe to run again."
    )

    def handle(self, **options: Any) -> None:
        done, lost = second_factor.encrypt_anew()
        self.stdout.write(f"{done} encrypted with the key of now.")
        if lost:
            raise CommandError(
                f"No key opens those of {', '.join(lost)}: "
                "add the old key to SECRET_KEY_FALLBACKS, or reset them."
            )
