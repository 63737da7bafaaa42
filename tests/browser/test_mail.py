"""A creator chooses the tips of a week in one mail, and reads it: at a desk and on a phone."""

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import OutgoingMail, User
from foundation.calendar import day_of, start_of
from monetization.digests import writing as digests
from monetization.figures.periods import beginning_of
from monetization.models import Digest
from tests.browser.longest import long
from tests.monetization.records import clock_at, days, place, subscribe, tip

TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_a_creator_gets_the_tips_of_a_week_in_one_mail(open_browser, settings, size):
    settings.MAIL_ENABLED = True
    ada = open_browser(size=size)
    ada.signs_in(going_to="/account")
    choices = ada.page.get_by_role("group", name="Tips")
    assert choices.get_by_role("radio", name="Each time").is_checked()
    choices.get_by_role("radio", name="Each time").focus()
    ada.page.keyboard.press("ArrowDown")
    ada.presses("Save emails")
    assert ada.sees("Saved.")
    weekly = choices.get_by_role("radio", name="Once a week, on Monday")
    assert weekly.is_checked()
    for scheme in ("light", "dark"):
        ada.page.emulate_media(color_scheme=scheme)
        ada.is_never_stopped_by_the_page()
    creator = User.objects.get()
    assert creator.mails_weekly == ["tip_received"]

    monday = beginning_of(day_of(timezone.now()), "week") - days(14)
    word = long(90)
    with clock_at(start_of(monday) + days(1)):
        for currency in ("USD", "JPY"):
            tip(creator, 99_999_999, currency=currency, name=word, message=f"Hi\n{word * 3}")
        subscribe(creator, plan=word)
        place(creator, word, starts=start_of(monday) + days(8))
    Digest.objects.update(next_week=monday)
    assert digests.write_due().written == 1
    ada.page = ada.page.context.new_page()  # Without the policy of the service's pages.
    ada.page.set_content(OutgoingMail.objects.get().html)
    expect(ada.page.get_by_role("heading", name="1 new subscription")).to_be_visible()
    for scheme in ("light", "dark"):
        ada.page.emulate_media(color_scheme=scheme)
        assert ada.finds() == []
    for width in (1280, 390, 320):
        ada.page.set_viewport_size({"width": width, "height": 800})
        assert ada.page.evaluate(TOO_WIDE) <= 0, width
    ada.goes_to("/account")
    assert ada.page.evaluate(TOO_WIDE) <= 0, "the account page scrolls sideways at 320 px"
