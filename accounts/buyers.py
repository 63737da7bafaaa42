"""The buyer's name and address for receipts, as a user entered them on the account page.

A receipt shows what is stored now, so a user who adds an address later gets it on earlier receipts too.
"""

from dataclasses import asdict, dataclass

from django.conf import settings
from django.db import models

NAME_LENGTH, ADDRESS_LENGTH, COUNTRY_LENGTH, VAT_NUMBER_LENGTH = 200, 500, 80, 40


@dataclass(frozen=True)
class Buyer:
    """Who bought. `address` may have several lines. "" means that the user did not enter it."""

    name: str = ""
    address: str = ""
    country: str = ""
    vat_number: str = ""

    @property
    def lines(self) -> list[str]:
        """The buyer's name and postal address, line by line, without empty lines."""
        return [line for line in (self.name, *self.address.splitlines(), self.country) if line.strip()]


class BuyerDetails(models.Model):
    """What one user entered as the buyer. A user who entered nothing, or cleared it, has no row."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="buyer_details"
    )
    name = models.CharField(max_length=NAME_LENGTH, blank=True)
    address = models.TextField(max_length=ADDRESS_LENGTH, blank=True)
    country = models.CharField(max_length=COUNTRY_LENGTH, blank=True)
    vat_number = models.CharField("VAT number", max_length=VAT_NUMBER_LENGTH, blank=True)

    class Meta:
        verbose_name = "buyer's details"
        verbose_name_plural = "buyers' details"
        default_permissions = ()

    def __str__(self) -> str:
        return f"Buyer {self.pk}"  # No name: a log or a traceback may show it.


def buyer_of(user_id: str) -> Buyer:
    """Return the buyer of a user's receipts. All its fields are "" if the user entered nothing."""
    row = BuyerDetails.objects.filter(pk=user_id).values("name", "address", "country", "vat_number").first()
    return Buyer(**row) if row else Buyer()


def save(user_id: str, buyer: Buyer) -> None:
    """Store the buyer of a user's receipts. If all fields are "", delete what is stored.

    One statement inserts or updates the row. If two forms are sent at once, an INSERT alone would fail, and
    PostgreSQL would log it with the name and the address.
    """
    if buyer == Buyer():
        BuyerDetails.objects.filter(pk=user_id).delete()
        return
    entered = asdict(buyer)
    BuyerDetails.objects.bulk_create(
        [BuyerDetails(user_id=user_id, **entered)],
        update_conflicts=True,
        unique_fields=["user"],
        update_fields=list(entered),
    )
