"""From a payment to its receipt on paper: as a user goes, on a desk and on a phone, by day and by night."""

from pathlib import Path

import pytest

from tests.wallet.pages.papers import text_of
from wallet.models import TopUp

USER = "usr_demo"


@pytest.mark.parametrize("size", ["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_user_enters_the_buyer_and_takes_the_receipt(open_browser, give, size, scheme):
    person = open_browser(size=size, scheme=scheme)
    give(USER, 25)
    person.comes_signed_in()
    person.follows("Receipts")
    person.is_at("/wallet/receipts")
    person.is_never_stopped_by_the_page()
    person.page.locator("main li a").first.click()
    person.is_at(f"/wallet/receipts/{TopUp.objects.get().pk}")
    assert person.sees("Total paid")
    assert "Bought by\nDana Demo" in person.reads().replace("\n\n", "\n")
    person.is_never_stopped_by_the_page()

    person.follows("Add an address or a VAT number")
    person.types("Name or company", "王小明 GmbH")
    person.types("Address", "Hauptstraße 1\n10115 Berlin")
    person.types("Country", "Germany")
    person.types("VAT number", "DE123")
    person.presses("Save buyer")
    assert person.sees("Please check the VAT number")
    person.types("VAT number", "DE123456789")
    person.presses("Save buyer")
    person.page.get_by_text("Please check the VAT number").wait_for(state="detached")
    person.is_never_stopped_by_the_page()

    person.goes_to("/wallet")
    person.follows("Top-up: receipt")
    assert person.sees("10115 Berlin")
    file = download(person, "Download PDF")
    assert "王小明 GmbH Hauptstraße 1 10115 Berlin Germany VAT number DE123456789" in file
    person.page.emulate_media(media="print")
    assert "Download PDF" not in person.reads()
    assert "10115 Berlin" in person.reads()


def test_a_user_takes_a_month_as_files(ada, give):
    give(USER, 40)
    ada.comes_signed_in()
    ada.follows("Monthly statements")
    ada.page.locator("main li a").first.click()
    assert ada.sees("Closing balance")
    assert "Closing balance 0 credits +40 credits 0 credits 40 credits" in download(ada, "Download PDF")
    with ada.page.expect_download() as csv:
        ada.follows("Download CSV")
    assert ",topup,40,40,," in Path(csv.value.path()).read_text()
    ada.is_never_stopped_by_the_page()


def test_the_buyer_can_be_entered_without_javascript(open_browser, give):
    person = open_browser(javascript=False, may_fail=True)
    give(USER, 25)
    person.comes_signed_in(going_to="/account")
    person.types("Name or company", "Acme\u202e")
    person.presses("Save buyer")
    assert person.sees("Not saved. Please fix these fields:")
    person.types("Name or company", "Acme")
    person.presses("Save buyer")
    person.goes_to(f"/wallet/receipts/{TopUp.objects.get().pk}")
    assert person.sees("Acme")


def download(person, name):
    """The text of the PDF file behind a link."""
    with person.page.expect_download() as file:
        person.follows(name)
    return text_of(Path(file.value.path()).read_bytes())
