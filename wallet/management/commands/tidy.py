"""The command that writes off what is overdue: `manage.py tidy [--watch] [--every 60]`."""

from accounts import key_requests
from foundation.operators import Round, WatchingCommand
from foundation.words import count
from wallet.charges import lapsing


class Command(WatchingCommand):
    help = (
        "Write down that holds have expired and that grants have ended. No answer depends on this, because "
        "time alone ends them; it keeps rows and pages of staff up to date. Delete the recorded requests of "
        "API keys that are older than 7 days. It is safe to run this again, "
        "and to run several at the same time. Exit code 0: nothing failed. 1: a wallet could not be tidied. "
        "2: an error stopped the command. With --watch it goes on until SIGTERM."
    )
    every_seconds = 60

    def work(self) -> Round:
        """Write off what is overdue in every wallet that no other transaction has locked; forget requests."""
        tidied = lapsing.tidy(go_on=self.goes_on)
        for user_id, trouble in tidied.failed.items():
            self.stderr.write(f"{user_id!r} could not be tidied: {trouble}")
        overdue = f"{count(tidied.holds, 'overdue hold')} and {count(tidied.lots, 'grant')}"
        sentence = f"{overdue} of {count(tidied.wallets, 'wallet')} ended."
        if forgotten := key_requests.forget_old():
            sentence += f" {count(forgotten, 'old request')} of API keys deleted."
        did_something = bool(tidied.wallets or forgotten)
        return Round(sentence, did_something=did_something, failed=bool(tidied.failed))
