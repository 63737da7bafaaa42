"""No page scrolls sideways, at any width of the window, with the longest values that the service accepts."""

import pytest

from accounts.mail import outbox
from accounts.models import OutgoingMail
from tests.browser.journeys import opened, opens_all_pages, pages, paths_of_the_back_office
from tests.browser.longest import address, long
from tests.reflow import WIDTHS, WIDTHS_OF_THE_BACK_OFFICE, Measurer


@pytest.fixture
def measurer(open_browser, site):
    """A person whose browser measures what it opens. Without a user, the person is not signed in."""

    def come(user=None, widths=WIDTHS):
        person = open_browser(may_fail=True)
        if user:
            person.comes_signed_in(user)
        return Measurer(person.page, site.address, widths)

    return come


# --- Users and creators -----------------------------------------------------------------------------------


def test_no_page_of_a_user_or_creator_is_too_wide(measurer, longest):
    visitor, dana, grace = opens_all_pages(measurer, longest)
    visitor.opens("/sign-in", again=True)
    visitor.sends("main form")  # It leads to the sandbox's page.
    for path in ("/wallet", f"/wallet/statements/{longest.now:%Y-%m}", "/dashboard", "/dashboard/tips"):
        dana.prints(path)
    problems = visitor.problems + dana.problems + grace.problems
    assert not problems, "\n".join(problems)


# --- Staff ------------------------------------------------------------------------------------------------


def test_no_page_of_the_back_office_is_too_wide(measurer, longest):
    bea = measurer(longest.staff, WIDTHS_OF_THE_BACK_OFFICE)
    routes_of_pages = pages(of_the_back_office=True)
    for path in paths_of_the_back_office(longest):
        bea.opens(path)
        if bea.page.locator(".act-form").count():
            bea.sends(".act-form")
    bea.opens(f"/admin/?range=12m&product={long(40)}", again=True)
    for name, row in longest.joined.items():
        bea.opens(f"/admin/monetization/{name}/{row.pk}/change/")
    for sought in (long(300), address(), f"pi_0{long(251)}"):
        bea.opens("/admin/find/")
        bea.sends(".find-box", sought=sought)
    assert not bea.problems, "\n".join(bea.problems)
    assert routes_of_pages - opened(bea) == set()


# --- Mails ------------------------------------------------------------------------------------------------


def test_no_mail_is_too_wide(measurer, longest):
    reader = measurer()
    mails = {mail.kind: mail for mail in OutgoingMail.objects.all()}
    assert mails.keys() == outbox.KINDS.keys()
    for mail in mails.values():
        reader.page.set_content(mail.html)
        reader.measures(mail.kind)
    assert not reader.problems, "\n".join(reader.problems)
