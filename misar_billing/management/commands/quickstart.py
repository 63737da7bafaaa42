"""The command of `make run`: it starts everything that is needed to try the service, in one terminal."""

from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Run the service with a sandbox around it: migrate, seed, serve until Ctrl-C. Keeps its data."

    def handle(self, **options: Any) -> None:
        # Imported here, because the image of a deployment contains neither the demonstration nor the sandbox.
        from demo import make_run

        make_run.run(self.stdout)
