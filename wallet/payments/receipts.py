"""Send the receipt of a top-up to the wallet's owner by mail.

A receipt is written with the credits of its payment. If that failed, or if the owner had no e-mail address
then, `manage.py send_mail` writes it later (`write_missing`), up to seven days after the payment.
"""

from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, Value
from django.db.models.functions import Concat
from django.utils import timezone
from django.utils.dateformat import format as in_words

from accounts.mail import outbox
from accounts.models import OutgoingMail, User
from foundation import money
from foundation.text import beginning, ending, one_line
from wallet.books.funds import Funds, funds_of
from wallet.books.models import Entry
from wallet.history import products
from wallet.payments.models import TopUp

SHOWN_WHOLE_MAX = 20
KIND = "receipt"
# An older mail would confuse a user.
MISSING_MAX = outbox.WAITED_MAX
# A bank transfer may take two weeks from its checkout to its payment.
PAID_AFTER_MAX = timedelta(days=14)
WRITTEN_AT_ONCE = 1000


def register() -> None:
    """Register this kind of mail with the outbox."""
    outbox.register(KIND, outbox.Kind("Receipts", "When a payment has become credits in your wallet."))
    outbox.WRITERS.append(write_missing)


@outbox.isolated
def queue(topup: TopUp) -> None:
    """Queue the receipt of a paid top-up, in the transaction that adds the credits to the wallet.

    Each top-up gets one receipt. No receipt is queued if the wallet's owner never signed in or has no e-mail
    address.
    """
    user = User.objects.filter(pk=topup.user_id).first()
    if user is not None and user.email:
        _write(topup, user)


def missing(at: datetime) -> QuerySet[TopUp]:
    """Return the top-ups paid in the last seven days that have no receipt, and whose owner has an address.

    There are none if mail is off.
    """
    if not settings.MAIL_ENABLED:
        return TopUp.objects.none()
    mails = OutgoingMail.objects.filter(fact=Concat(Value("receipt:"), OuterRef("pk")))
    owners = User.objects.filter(pk=OuterRef("user_id")).exclude(email="")
    paid = TopUp.objects.filter(
        # The index has the time of creation.
        state=TopUp.State.PAID,
        created_at__gt=at - MISSING_MAX - PAID_AFTER_MAX,
        paid_at__gt=at - MISSING_MAX,
    )
    return paid.filter(~Exists(mails), Exists(owners))


def write_missing(go_on: outbox.GoOn = outbox.always) -> outbox.Written:
    """Write up to 1000 missing receipts. It is safe to run this twice at the same time."""
    # In a random order, so that receipts that cannot be written do not stand before all others for ever.
    topups = missing(timezone.now()).order_by("?")
    ids = list(topups.values_list("pk", flat=True)[:WRITTEN_AT_ONCE])
    return outbox.write_each(ids, _write_late, go_on=go_on)


@transaction.atomic
def _write_late(topup_id: str) -> bool:
    topup = TopUp.objects.select_related("entry").get(pk=topup_id)
    user = User.objects.get(pk=topup.user_id)
    if _write(topup, user, is_late=True):
        return True
    # The user switched receipts off, so this payment gets none when they are switched on again.
    outbox.decline(user=user, kind=KIND, fact=_fact(topup))
    return False


def _fact(topup: TopUp) -> str:
    return f"receipt:{topup.pk}"


def _write(topup: TopUp, user: User, *, is_late: bool = False) -> bool:
    """Write the receipt. A late one says what the balance is now, since it may have moved on."""
    entry, paid_at = topup.entry, topup.paid_at
    assert entry is not None
    assert topup.paid_cents is not None
    assert paid_at is not None
    paid, credits = money.dollars(topup.paid_cents), money.credits(entry.credits)
    # Without the credits of grants that have ended. The balance of the entry may still have them.
    funds = funds_of(topup.user_id)
    # The entry is in the statement of the month in which it was written.
    written_at = entry.created_at.astimezone(UTC)
    return outbox.write(
        user=user,
        to=user.email,
        kind=KIND,
        fact=_fact(topup),
        subject=f"Receipt: {paid} for {credits}",
        template="wallet/mail/receipt",
        context={
            "paid": paid,
            "credits": credits,
            "balance": money.credits(funds.balance),
            "is_late": is_late,
            **held_in_words(funds),
            "settled": "" if is_late else _settled(entry, funds),
            "owner": owner_in_words(user),
            "date": f"{in_words(paid_at.astimezone(UTC), 'j F Y, H:i')} UTC",
            # The wallet's own page is not a product, so the receipt does not name it.
            "product": "" if topup.product == products.WALLET else one_line(products.name_of(topup.product)),
            "topup_id": topup.pk,
            "stripe_reference": shortened(topup.payment_intent_id or topup.stripe_session_id or ""),
            "month": f"{written_at:%Y-%m}",
            "month_name": in_words(written_at, "F Y"),
        },
    )


def owner_in_words(user: User) -> str:
    """Return the owner of a wallet as a mail names them: their name, if there is one, and their Misar ID."""
    name, owner = one_line(user.name), f"Misar ID {one_line(user.misar_id)}"
    return f"{name}, {owner}" if name else owner


def held_in_words(funds: Funds) -> dict[str, str]:
    """Return how much of the balance is held and how much can be spent; "" for both if no hold is open."""
    if not funds.held:
        return {"held": "", "available": ""}
    return {"held": money.credits(funds.held), "available": money.credits(funds.available)}


def _settled(entry: Entry, funds: Funds) -> str:
    """Return how much of a top-up paid a debt, as a sentence; "" if the user owed nothing."""
    owed = entry.credits - funds.paid  # Before the top-up, which added paid credits only.
    if owed <= 0:
        return ""
    if funds.owed:
        rest = money.credits(funds.owed)
        return f"All of it paid what you owed, and you still owe {rest}. Your next top-up pays this first."
    credits = money.credits(entry.credits)
    part = f"All {credits}" if owed == entry.credits else f"{money.plain(owed)} of {credits}"
    if funds.held:
        return f"{part} paid what you owed; {money.credits(max(0, funds.available))} can be spent now."
    return f"{part} paid what you owed; your balance is {money.plain(funds.balance)}."


def shortened(stripe_id: str) -> str:
    """Return a short form of a Stripe id. It is long enough to distinguish two payments."""
    line = one_line(stripe_id)
    return line if len(line) <= SHOWN_WHOLE_MAX else f"{beginning(line, 11)}…{ending(line, 8)}"
