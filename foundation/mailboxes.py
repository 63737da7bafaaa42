"""Which mailbox an e-mail address names. One mailbox has several spellings.

zoe@bücher.example, ZOE@BÜCHER.example and zoe@xn--bcher-kva.example are one mailbox. Addresses are stored and
shown as they were given. They are compared, counted and searched by their mailbox.
"""

import re
import unicodedata
from typing import Any, ClassVar

import idna
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import models, transaction
from django.db.models import Q

from foundation.text import both_forms, is_id

# A longer name does not fit into the DNS, so no mail arrives there.
DOMAIN_LENGTH_MAX = 253
ENCODED = "xn--"  # How the encoded form of a label that is not ASCII begins (RFC 5890).
# A character that an ASCII address in lower case does not have. PostgreSQL and Python both read this pattern,
# and the case rules of the database's locale have no effect on it.
OTHER = r"[^!-@\[-~]"
FILLED_AT_ONCE = 100


def is_address(text: str) -> bool:
    """Return whether this is a single valid e-mail address, without a name."""
    try:
        validate_email(text)
    except ValidationError:
        return False
    return is_id(text)  # Django's validator accepts a domain with invisible characters.


def mailbox_of(address: str) -> str:
    """Return the mailbox that this address names: one text for all spellings of the mailbox.

    The part before the @ is in lower case and in Unicode's form NFC. The domain is in its IDNA form (UTS #46,
    without transitional mappings). A domain that cannot have this form is in lower case and NFC. A text
    without an @ is treated as the part before it. This never raises an error.

    >>> mailbox_of("ZOE@BÜCHER.example"), mailbox_of("zoe@xn--bcher-kva.example")
    ('zoe@xn--bcher-kva.example', 'zoe@xn--bcher-kva.example')
    """
    address = unicodedata.normalize("NFC", address)  # The Kelvin sign, for example, is an ASCII K then.
    if address.isascii():
        return address.lower()
    before, at, domain = address.rpartition("@")
    return f"{_lowered(before)}@{_encoded(domain)}" if at else _lowered(address)


def sendable(address: str) -> str:
    """Return the address to send a mail to: as given, but a domain that is not ASCII is in its IDNA form.

    Django's mail backend would encode the domain by IDNA 2003, for which faß.de is fass.de, whose owner is
    another one.

    >>> sendable("Zoë@faß.de"), sendable("Zoe@Example.COM")
    ('Zoë@xn--fa-hia.de', 'Zoe@Example.COM')
    """
    before, at, domain = address.rpartition("@")
    return address if domain.isascii() else f"{before}{at}{_encoded(domain)}"


def _lowered(text: str) -> str:
    # σ and ς are the same letter, Σ in upper case.
    return unicodedata.normalize("NFC", text.lower().replace("ς", "σ"))


def _encoded(domain: str) -> str:
    try:
        mapped = idna.uts46_remap(unicodedata.normalize("NFC", domain), std3_rules=False)
    except idna.IDNAError:
        return _lowered(domain)
    # idna.encode() would refuse the domains that IDNA 2008 does not allow. Some have mailboxes, as ☃.net.
    labels = (
        label if label.isascii() else ENCODED + label.encode("punycode").decode()
        for label in mapped.rstrip(".").split(".")
    )
    encoded = ".".join(labels)
    return encoded if len(encoded) <= DOMAIN_LENGTH_MAX else _lowered(domain)


# --- Rows with an address -------------------------------------------------------------------------------


def stored_mailbox(address: str, *, compared: str) -> str | None:
    """Return the value of a row's field `mailbox`. `compared` is the row's text in its COMPARED_FIELD."""
    return mailbox_of(address) if re.search(OTHER, compared) else None


def not_filled(compared_field: str) -> Q:
    """Return the condition that a row has no `mailbox` yet, but needs one."""
    return Q(mailbox=None, **{f"{compared_field}__regex": OTHER})


def fill(model: Any, *, address_field: str, compared_field: str, wait: bool = True) -> None:
    """Fill the `mailbox` of all rows that need one, in short transactions.

    The names of the fields are as in `Addressed`. If `wait` is false, rows that another transaction has
    locked are left for the next call.
    """
    rows, after = model._default_manager.filter(not_filled(compared_field)).order_by("pk"), ""
    while batch := list(rows.filter(pk__gt=after).values_list("pk", address_field)[:FILLED_AT_ONCE]):
        with transaction.atomic():
            for pk, address in batch:
                # If another process changes the address now, the next call fills the mailbox.
                row = model._default_manager.filter(pk=pk, mailbox=None, **{address_field: address})
                # With `no_key`, a row that refers to this one does not lock it.
                if wait or row.select_for_update(skip_locked=True, no_key=True).values("pk"):
                    row.update(mailbox=mailbox_of(address))
        after = batch[-1][0]


class Addressed(models.Model):
    """A row with an e-mail address.

    ADDRESS_FIELD names the field with the address as it was given. Most addresses are ASCII: then the text in
    the field that COMPARED_FIELD names is the mailbox, and `mailbox` is None. Otherwise `mailbox` is the
    mailbox. The previous release writes rows without it, and a trigger empties it when the address changes.
    So every search and count fills such rows first (docs/decisions/0019).
    """

    ADDRESS_FIELD: ClassVar[str]
    COMPARED_FIELD: ClassVar[str]
    mailbox = models.TextField(null=True, blank=True, editable=False)  # noqa: DJ001 (see above)

    class Meta:
        abstract = True

    @property
    def address(self) -> str:
        """The e-mail address as it was given; "" for none."""
        return str(getattr(self, self.ADDRESS_FIELD))

    @classmethod
    def fill_mailboxes(cls, *, wait: bool = False) -> None:
        """Fill the mailbox of all rows that need one: usually none, which one look at a small index shows.

        Pages do not wait for rows that are locked. An erasure and an export must miss no row, so they wait.
        """
        fill(cls, address_field=cls.ADDRESS_FIELD, compared_field=cls.COMPARED_FIELD, wait=wait)

    @classmethod
    def in_mailbox(cls, address: str, *, wait: bool = False) -> Q:
        """Return the condition that a row has this mailbox, in any spelling. This fills mailboxes first."""
        cls.fill_mailboxes(wait=wait)
        mailbox = mailbox_of(address)
        return Q(mailbox=mailbox) | Q(mailbox=None, **{cls.COMPARED_FIELD: mailbox})

    @classmethod
    def mailbox_begins(cls, text: str) -> Q:
        """Return the condition that a row's address begins with this text. This fills mailboxes first.

        The text may be the beginning of any spelling. One case is different: if the text ends inside a label
        that is not ASCII (zoe@büc), only addresses that were given in this spelling match.
        """
        cls.fill_mailboxes()
        mailbox = mailbox_of(text)
        beginnings = {mailbox, *both_forms(text.lower())}
        conditions = [(f"{cls.COMPARED_FIELD}__startswith", each) for each in sorted(beginnings)]
        return Q.create([("mailbox__startswith", mailbox), *conditions], connector=Q.OR)
