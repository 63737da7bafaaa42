"""Tell a user by mail that credits of a payment were taken back, or came back."""

from accounts.mail import outbox
from wallet.books.models import Entry
from wallet.payments.models import TopUp


@outbox.isolated
def queue(entry: Entry, topup: TopUp) -> None:
    """Queue the mail about a clawback or a reinstatement, in the transaction that writes the entry."""
