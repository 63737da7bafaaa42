"""No page of the sandbox scrolls sideways, with the longest values that the service sends."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives

from sandbox import environment
from tests.browser.longest import address, long
from tests.chromium import CHROMIUM
from tests.reflow import Measurer
from tests.sandbox.conftest import StandIn, line

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM} here"),
]
WAIT_MS_MAX = 60_000
USER_ID = f"usr_{long(251)}"
FILES = "django.core.mail.backends.filebased.EmailBackend"
SIGN_IN = {
    "response_type": "code",
    "client_id": "misar-billing-web",
    "redirect_uri": f"https://{long(60)}.example/{long(200)}",
    "scope": "openid",
    "state": "s",
}


@pytest.fixture
def measurer(chromium: Any, stand_in: StandIn) -> Any:
    context = chromium.new_context(reduced_motion="reduce")
    context.set_default_timeout(WAIT_MS_MAX)
    yield Measurer(context.new_page(), stand_in.url)
    context.close()


def fill(stand_in: StandIn) -> dict[str, str]:
    """Write sessions in several states, and a mail. Return the sessions' ids by state."""
    longest: dict[str, Any] = {
        "metadata": {"type": "wallet_topup", "user_id": USER_ID, "product": long(100)},
        "client_reference_id": long(200),
        "line_items": [line(10_000_000)],
    }
    opened, later = stand_in.new_session(**longest), stand_in.new_session(**longest)
    stand_in.control(f"sessions/{later.id}/pay_later")
    paid = stand_in.paid_session(**longest)["id"]
    for status in ("pending", "requires_action", "succeeded"):
        stand_in.control(f"sessions/{paid}/refund", amount=333_333, status=status)
    asked = stand_in.paid_session(**longest)["id"]
    stand_in.control(f"sessions/{asked}/dispute", kind="inquiry")
    waiting = stand_in.paid_session(**longest)["id"]
    stand_in.control(f"sessions/{waiting}/dispute", kind="prevented")
    stand_in.control(f"sessions/{paid}/dispute")
    headers = {f"X-{long(60)}": long(500)}
    letter = EmailMultiAlternatives(long(200), long(2000), to=[address()], headers=headers)
    letter.attach_alternative(f"<p>{long(200)}</p>", "text/html")
    folder = str(environment.mail_directory(stand_in.data_dir))
    mail.get_connection(FILES, file_path=folder).send_messages([letter])
    return {"opened": opened.id, "later": later.id, "paid": paid, "asked": asked, "waiting": waiting}


def test_no_page_of_the_sandbox_is_too_wide(measurer: Measurer, stand_in: StandIn):
    sessions = fill(stand_in)
    measurer.opens("/")
    measurer.sends("form[action$=settings]", webhook_delay_seconds="1e99")
    for session_id in sessions.values():
        measurer.opens(f"/sessions/{session_id}")
        measurer.opens(f"/c/pay/{session_id}")
    measurer.opens(f"/c/pay/{sessions['opened']}")
    measurer.sends("main form", card_number=long(30))
    measurer.opens("/mail")
    with measurer.page.expect_navigation():
        measurer.page.locator("tbody a").first.click()
    measurer.measures("a mail")
    for path in ("/second-factor", "/nowhere", f"/sso/authorize?{urlencode(SIGN_IN)}"):
        measurer.opens(path)
    assert not measurer.problems, "\n".join(measurer.problems)
