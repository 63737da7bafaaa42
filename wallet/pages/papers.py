"""What statements and receipts say, as pages and files show it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.utils.dateformat import format as in_words

from accounts import buyers
from accounts.buyers import Buyer
from accounts.models import User
from foundation import money, words
from foundation.text import one_line
from foundation.typesetting import documents
from wallet.history import products
from wallet.history.statements import DayLine, MonthlyStatement
from wallet.pages import tables
from wallet.payments.receipted import Receipt
from wallet.prices import units

TEMPLATES = Path(settings.BASE_DIR) / "templates" / "wallet" / "papers"
CURRENCY = "USD"
NO_TAX = "No tax was added to this payment."
WORTH = "1 credit = US$1."
# Our checkouts have always taken cards alone (stripe_gateway). Stripe alone knows the number of the card.
PAID_BY = "Card, through Stripe"


def issuer_lines() -> list[str]:
    """Return who issues statements and receipts, line by line; [] if the settings don't say it."""
    tax = [f"Tax number {settings.ISSUER_TAX_NUMBER}"] if settings.ISSUER_TAX_NUMBER else []
    return [line for line in (settings.ISSUER_NAME, *settings.ISSUER_ADDRESS, *tax) if line]


def buyer_of(user: User) -> Buyer:
    """Return the buyer of a user's receipts: what the user entered, or at least a name."""
    entered = buyers.buyer_of(user.pk)
    return entered if entered.name else replace(entered, name=one_line(user.name) or user.misar_id)


def buyer_lines(buyer: Buyer) -> list[str]:
    """Return a buyer line by line, with the VAT number last."""
    return [*buyer.lines, *([f"VAT number {buyer.vat_number}"] if buyer.vat_number else [])]


def facts_of(receipt: Receipt) -> list[tuple[str, str]]:
    """Return what a receipt says about itself: names and values."""
    product = receipt.topup.product
    facts = {
        "Receipt number": receipt.topup.pk,
        "Date of payment": f"{in_words(receipt.paid_at.astimezone(UTC), 'j F Y, H:i')} UTC",
        "Wallet of": f"Misar ID {receipt.topup.user_id}",
        # The wallet's own page is not a product.
        "Bought in": "" if product == products.WALLET else one_line(products.name_of(product)),
        "Paid by": PAID_BY,
        "Stripe payment": one_line(receipt.reference),
        "State": receipt.state,
    }
    return [(name, value) for name, value in facts.items() if value]


def items_of(receipt: Receipt) -> list[tuple[str, str, str, str]]:
    """Return what was bought: the item, how many, the price of one, and the sum, in US dollars."""
    whole_cents = money.cents_from_dollars(receipt.credits)
    one = _dollars(money.cents_from_dollars(1))
    items = [("Misar credits", money.plain(receipt.credits), one, _dollars(whole_cents))]
    if rest_cents := receipt.paid_cents - whole_cents:
        items.append(("Paid beyond whole credits", "", "", _dollars(rest_cents)))
    return items


def totals_of(receipt: Receipt) -> list[tuple[str, int]]:
    """Return the sums of a receipt, in cents, with their names. All of them are in US dollars."""
    paid = [("Tax", 0), ("Total paid", receipt.paid_cents)]
    if receipt.left_cents == receipt.paid_cents:
        return paid
    return [*paid, ("Returned since", receipt.left_cents - receipt.paid_cents), ("Left", receipt.left_cents)]


def reversals_of(receipt: Receipt) -> list[tuple[str, str, int]]:
    """Return each refund and dispute of a receipt: the day, what it was, and the cents."""
    return [
        (
            words.day_words(each.at.astimezone(UTC)) if each.at else words.NONE,
            one_line(f"{each.name} {each.stripe_id}") + (", on its way" if each.is_on_its_way else ""),
            each.cents,
        )
        for each in receipt.reversals
    ]


def receipt_pdf(receipt: Receipt, *, user: User) -> bytes:
    """Return a receipt as a PDF file. Raises CannotTypeset."""
    return documents.pdf(
        TEMPLATES / "receipt.typ",
        {
            "title": f"Receipt {receipt.topup.pk}",
            "footer": f"Receipt {receipt.topup.pk}",
            "issuer": issuer_lines(),
            "buyer": buyer_lines(buyer_of(user)),
            "facts": facts_of(receipt),
            "items": items_of(receipt),
            "totals": [(name, _dollars(cents)) for name, cents in totals_of(receipt)],
            "reversals": [(day, what, _dollars(cents)) for day, what, cents in reversals_of(receipt)],
            "remarks": [NO_TAX, WORTH],
        },
    )


def statement_pdf(statement: MonthlyStatement, *, user: User, made_at: datetime) -> bytes:
    """Return a month's statement as a PDF file: its entries, or its days if it has too many entries.

    Raises CannotTypeset.
    """
    month = in_words(statement.first_day, "F Y")
    name = one_line(user.name)
    days = f"{in_words(statement.first_day, 'j F')} to {in_words(statement.last_day, 'j F Y')}, days in UTC."
    made = f"Made on {in_words(made_at.astimezone(UTC), 'j F Y, H:i')} UTC"
    is_running = statement.last_day >= made_at.astimezone(UTC).date()
    running = "; the month is not over, so figures may still change" if is_running else ""
    entries = tables.described(statement.entries, units.features())
    return documents.pdf(
        TEMPLATES / "statement.typ",
        {
            "title": f"Statement for {month}",
            "footer": f"{f'{name}, ' if name else ''}Misar ID {user.misar_id}. {month}. {WORTH}",
            "issuer": issuer_lines(),
            "owner": [*([name] if name else []), f"Misar ID {user.misar_id}"],
            "period": f"{days} {made}{running}.",
            "figures": [
                money.credits(statement.opening),
                f"{_added(statement.added) or '0'} {money.unit(statement.added)}",
                f"{_taken(statement.taken) or '0'} {money.unit(statement.taken)}",
                money.credits(statement.closing),
            ],
            "kinds": [
                (tables.KIND_NAMES[each.kind], money.plain(each.entries), money.signed(each.credits))
                for each in statement.by_kind
            ],
            "entries": [
                (
                    one_line(what),
                    one_line(product),
                    in_words(entry.created_at.astimezone(UTC), "j M, H:i"),
                    money.signed(entry.credits),
                    money.plain(entry.balance_after),
                )
                for entry, what, product in entries
            ],
            "summed": f"This month has {words.count(statement.entries_count, 'entry', 'entries')}, so this "
            "table sums them up by day. The CSV file of the month has each of them.",
            "days": list(_day_rows(statement.days)),
        },
    )


def _day_rows(days: Iterable[DayLine]) -> Iterable[tuple[str, str, str, str]]:
    for each in days:
        yield in_words(each.day, "j M"), _added(each.added), _taken(each.taken), money.plain(each.closing)


def _added(credits: int) -> str:
    return money.signed(credits) if credits else ""


def _taken(credits: int) -> str:
    return money.signed(-credits) if credits else ""


def _dollars(cents: int) -> str:
    return money.figure(cents, CURRENCY)
