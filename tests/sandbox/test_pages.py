"""The sandbox's pages in a real Chromium. They have no scripts."""

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

import pytest
import requests

from tests.chromium import CHROMIUM
from tests.sandbox.conftest import Receiver, StandIn, line, session_params

WAIT_MS_MAX = 60_000
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM} here"),
]


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    """The merchant's site, to which buyers return. It has another origin than the payment page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<!doctype html><title>Shop</title><link rel=icon href='data:,'><p>Back at the shop"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Keep the tests' output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def tab(chromium: Any) -> Iterator[Any]:
    """One tab on a phone for all tests here, since a new tab takes Chromium half a second of work."""
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    context.set_default_timeout(WAIT_MS_MAX)
    yield context.new_page()
    context.close()


@pytest.fixture
def page(tab: Any) -> Iterator[Any]:
    """The tab, empty and without cookies. Any complaint of the browser, such as a blocked form or style,
    fails the test.
    """
    tab.goto("about:blank")
    tab.context.clear_cookies()
    complaints: list[str] = []
    listeners = {
        "console": lambda message: complaints.append(message.text),
        "pageerror": lambda error: complaints.append(str(error)),
    }
    for event, listener in listeners.items():
        tab.on(event, listener)
    yield tab
    for event, listener in listeners.items():
        tab.remove_listener(event, listener)
    for other in tab.context.pages:
        if other is not tab:
            other.close()
    assert complaints == []


@pytest.fixture
def new_session(stand_in: StandIn, shop: str) -> Callable[..., Any]:
    """A session that returns to the shop."""
    return lambda **changes: stand_in.new_session(
        success_url=f"{shop}/done?session_id={{CHECKOUT_SESSION_ID}}&a=%7Bb%7D",
        cancel_url=f"{shop}/cancelled",
        **changes,
    )


def button(page: Any, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def press(page: Any, name: str) -> None:
    """Press a button, and wait for the answer: a click returns before the browser leaves the page."""
    with page.expect_navigation():
        button(page, name).click()


def test_a_buyer_pays_and_returns_to_the_shop(
    page: Any, new_session: Callable[..., Any], shop: str, receiver: Receiver
):
    session = new_session()
    page.goto(session.url)
    assert page.get_by_label("Card number").input_value() == "4242 4242 4242 4242"
    press(page, "Pay $25.00")
    page.wait_for_url(f"{shop}/done?session_id={session.id}&a=%7Bb%7D")
    (webhook,) = receiver.wait_for(1)
    assert webhook.event["data"]["object"]["payment_status"] == "paid"


def test_a_buyer_without_javascript_pays(chromium: Any, new_session: Callable[..., Any], shop: str):
    context = chromium.new_context(java_script_enabled=False)
    context.set_default_timeout(WAIT_MS_MAX)
    tab = context.new_page()
    tab.goto(new_session().url)
    press(tab, "Pay $25.00")
    tab.wait_for_url(f"{shop}/done?**")
    context.close()


def test_a_buyer_is_declined_and_tries_again(page: Any, new_session: Callable[..., Any], shop: str):
    session = new_session()
    page.goto(session.url)
    press(page, "Decline")
    assert page.url == session.url
    assert "Your card was declined." in page.get_by_role("alert").inner_text()
    press(page, "Pay $25.00")
    page.wait_for_url(f"{shop}/done?**")


def test_a_declined_test_card_is_declined(page: Any, new_session: Callable[..., Any]):
    page.goto(new_session().url)
    page.get_by_label("Card number").fill("4000 0000 0000 0002")
    press(page, "Pay $25.00")
    assert "Your card was declined." in page.get_by_role("alert").inner_text()


def test_a_mistake_in_the_card_number_is_shown_beside_it(stand_in: StandIn, new_session: Callable[..., Any]):
    """With a plain HTTP client, since a browser reports the page's 400 in its console."""
    url = new_session().url
    client = requests.Session()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get(url, timeout=120).text)
    assert token
    sent = {"csrfmiddlewaretoken": token[1], "action": "pay", "card_number": "42 forty-two"}
    answer = client.post(url, sent, timeout=120)
    assert answer.status_code == 400
    assert "A card number has 13 to 19 digits." in answer.text
    assert 'value="42 forty-two"' in answer.text


def test_a_buyer_pays_later_and_the_payment_arrives(
    page: Any, new_session: Callable[..., Any], shop: str, receiver: Receiver
):
    session = new_session()
    page.goto(session.url)
    press(page, "Pay later")
    page.wait_for_url(f"{shop}/done?**")
    page.goto(session.url)
    assert "has not confirmed the payment yet" in page.content()
    press(page, "Let it succeed")
    page.get_by_text("This payment is complete.").wait_for()
    receiver.wait_for(2)
    assert receiver.types() == ["checkout.session.async_payment_succeeded", "checkout.session.completed"]


def test_a_buyer_leaves_and_may_come_back(page: Any, new_session: Callable[..., Any], shop: str):
    session = new_session()
    page.goto(session.url)
    page.get_by_role("link", name="Leave").click()
    page.wait_for_url(f"{shop}/cancelled")
    page.goto(session.url)
    button(page, "Pay $25.00").wait_for()


def test_a_second_tab_pays_once_and_returns_as_well(
    page: Any, chromium: Any, new_session: Callable[..., Any], shop: str, receiver: Receiver
):
    session = new_session()
    page.goto(session.url)
    other = page.context.new_page()
    other.goto(session.url)
    for tab in (page, other):
        press(tab, "Pay $25.00")
        tab.wait_for_url(f"{shop}/done?**")
    receiver.wait_for(1)
    assert receiver.types() == ["checkout.session.completed"]


def test_a_finished_session_says_so(page: Any, stand_in: StandIn, new_session: Callable[..., Any], shop: str):
    paid, expired = new_session(), new_session()
    stand_in.control(f"sessions/{paid.id}/pay")
    stand_in.control(f"sessions/{expired.id}/expire")
    page.goto(paid.url)
    page.get_by_text("This payment is complete.").wait_for()
    link = page.get_by_role("link", name="Return to Misar")
    assert link.get_attribute("href") == f"{shop}/done?session_id={paid.id}&a=%7Bb%7D"
    page.goto(expired.url)
    page.get_by_text("This payment page has expired.").wait_for()
    assert page.get_by_role("button").count() == 0


def test_hostile_text_is_shown_as_text(page: Any, stand_in: StandIn, new_session: Callable[..., Any]):
    product = {"currency": "usd", "unit_amount": 2500, "product_data": {"name": HOSTILE}}
    session = new_session(
        line_items=[line(price_data=product)],
        metadata={"user_id": HOSTILE, "product": HOSTILE, HOSTILE[:40]: HOSTILE},
    )
    stand_in.control(f"sessions/{session.id}/pay")
    for path in (f"/c/pay/{session.id}", "/", f"/sessions/{session.id}"):
        page.goto(f"{stand_in.url}{path}")
        assert page.locator("main script, main img").count() == 0
        assert HOSTILE in page.locator("main").inner_text()


def test_no_page_is_wider_than_the_phone(page: Any, stand_in: StandIn, new_session: Callable[..., Any]):
    session = new_session(metadata={"user_id": "u" * 255, "product": "blog"})
    addresses = [session.url, stand_in.url, f"{stand_in.url}/sessions/{session.id}"]
    for address in addresses:
        page.goto(address)
        body = page.locator("body").bounding_box()
        main = page.locator("main").bounding_box()
        assert main["width"] <= body["width"] <= 390


# --- The sandbox's own pages ------------------------------------------------------------------------


def test_staff_refund_and_dispute_from_the_page(
    page: Any, stand_in: StandIn, new_session: Callable[..., Any]
):
    session = new_session()
    stand_in.control(f"sessions/{session.id}/pay")
    page.goto(stand_in.url)
    page.get_by_role("table").first.get_by_role("link").click()
    page.get_by_label("Amount in dollars", exact=True).fill("10.00")
    press(page, "Refund")
    page.get_by_text("$15.00 can still be refunded.").wait_for()
    press(page, "Dispute")
    page.get_by_text("The bank has taken $25.00 and decides who gets it.").wait_for()
    assert button(page, "Refund").count() == 0
    press(page, "Merchant wins")
    types = [event["type"] for event in stand_in.look("events", session=session.id)["data"]]
    assert types[::-1] == [
        "checkout.session.completed",
        "refund.created",
        "charge.refunded",
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    ]


@pytest.fixture
def open_paid(page: Any, stand_in: StandIn, new_session: Callable[..., Any]) -> Callable[[], str]:
    """Pay a new session, open its page, and return its id."""

    def open_one() -> str:
        session_id = str(new_session().id)
        stand_in.control(f"sessions/{session_id}/pay")
        page.goto(f"{stand_in.url}/sessions/{session_id}")
        return session_id

    return open_one


@pytest.mark.parametrize(
    ("begins", "first", "presses", "last"),
    [
        ("It is pending", "Pending", ["Let it succeed"], "Refunded"),
        ("It is pending", "Pending", ["Cancel it"], "Canceled"),
        ("It needs the buyer's bank details", "Needs action", ["Let it fail"], "Failed"),
        ("It succeeds at once", "Refunded", ["Let it fail"], "Failed"),
    ],
)
def test_every_end_of_a_refund_is_played_from_the_page(
    page: Any, open_paid: Callable[[], str], begins: str, first: str, presses: list[str], last: str
):
    open_paid()
    page.locator("#status").select_option(label=begins)
    press(page, "Refund")
    refunds = page.get_by_role("region", name="Refunds")
    refunds.get_by_text(first, exact=True).wait_for()
    for name in presses:
        press(page, name)
    refunds.get_by_text(last, exact=True).wait_for()
    assert refunds.get_by_role("button").count() == (1 if last == "Refunded" else 0)
    categories = page.get_by_role("region", name="Balance transactions").locator("tbody tr td:first-child")
    back = [] if last == "Refunded" else ["Refund came back"]
    assert categories.all_inner_texts() == ["Payment", "Refund", *back]


@pytest.mark.parametrize(
    ("begins", "presses", "tag", "sentence"),
    [
        (
            "The bank asks first",
            ["Send evidence", "Close the inquiry"],
            "Inquiry closed",
            "It holds no money of this payment.",
        ),
        ("The bank asks first", ["Prevent the dispute"], "Prevented", "It holds no money of this payment."),
        (
            "The bank asks first",
            ["Take the money", "Send evidence", "Merchant loses"],
            "Lost",
            "$25.00 has not come back.",
        ),
        (
            "The bank takes the money",
            ["Wins, money later", "Return money"],
            "Won",
            "It holds no money of this payment.",
        ),
        (
            "The bank takes the money",
            ["7.50", "Merchant wins this part"],
            "Lost",
            "$17.50 stays with the buyer.",
        ),
        ("It is settled at once, for the buyer", [], "Prevented", "$25.00 has not come back."),
    ],
)
def test_every_end_of_a_dispute_is_played_from_the_page(
    page: Any, open_paid: Callable[[], str], begins: str, presses: list[str], tag: str, sentence: str
):
    open_paid()
    page.locator("#kind").select_option(label=begins)
    press(page, "Dispute")
    for each in presses:
        if each[0].isdigit():
            page.get_by_label("Part that comes back, in dollars").fill(each)
        else:
            press(page, each)
    disputes = page.locator("section[aria-labelledby=disputes]")
    disputes.get_by_text(tag, exact=True).wait_for()
    disputes.get_by_text(sentence).wait_for()


def test_a_refused_action_is_explained_on_the_page(stand_in: StandIn, new_session: Callable[..., Any]):
    """With a plain HTTP client, since a browser reports the page's 400 and 409 in its console."""
    session_id = new_session().id
    stand_in.control(f"sessions/{session_id}/pay")
    dispute_id = stand_in.control(f"sessions/{session_id}/dispute")["id"]
    client = requests.Session()
    text = client.get(f"{stand_in.url}/sessions/{session_id}", timeout=120).text
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', text)
    assert token

    def refusal(path: str, **fields: str) -> tuple[int, str]:
        fields["csrfmiddlewaretoken"] = token[1] if token else ""
        answer = client.post(f"{stand_in.url}/{path}", fields, timeout=120)
        shown = re.search(r'role="alert">([^<]*)<', answer.text)
        return answer.status_code, shown[1] if shown else ""

    assert refusal(f"disputes/{dispute_id}/win_part") == (400, "Type the amount that comes back.")
    assert refusal(f"disputes/{dispute_id}/win_part", amount="x") == (400, "Type an amount such as 5.00.")
    status, sentence = refusal(f"disputes/{dispute_id}/win_part", amount="25.01")
    assert (status, sentence) == (409, "No more money comes back than the dispute took.")
    status, sentence = refusal(f"sessions/{session_id}/refund", status="pending")
    assert (status, "has been charged back" in sentence) == (409, True)
    assert refusal(f"sessions/{session_id}/refund", status="failed")[0] == 400
    assert refusal(f"sessions/{session_id}/dispute", kind="quarrel")[0] == 400
    assert refusal(f"disputes/{dispute_id}/fly") == (404, "")


def test_an_event_is_sent_twice_at_once_from_the_page(
    page: Any, stand_in: StandIn, new_session: Callable[..., Any], receiver: Receiver
):
    stand_in.control(f"sessions/{new_session().id}/pay")
    receiver.wait_for(1)
    page.goto(stand_in.url)
    press(page, "Twice at once")
    receiver.wait_for(3)


def test_failures_are_switched_on_and_off_from_the_page(page: Any, stand_in: StandIn):
    page.goto(stand_in.url)
    page.get_by_label("Drop all webhooks").check()
    page.get_by_label("Send each webhook twice").check()
    page.get_by_label("Leave new refunds pending").check()
    page.get_by_label("Share of webhooks to drop").fill("0.33")
    page.get_by_label("Shuffling of webhooks").fill("2")
    page.get_by_label("Delay of API answers").fill("1.5")
    page.get_by_label("The API", exact=True).select_option("503")
    press(page, "Save")
    changed = stand_in.look("settings")
    assert {name: changed[name] for name in changed if name not in {"redirect_origins", "code_seconds"}} == {
        "drop_webhooks": True,
        "drop_share": 0.33,
        "double_webhooks": True,
        "webhook_delay_seconds": 0,
        "shuffle_seconds": 2,
        "api_delay_seconds": 1.5,
        "api_failure": 503,
        "refunds_pending": True,
    }
    assert page.get_by_role("status").inner_text().split("\n\n") == [
        "Webhooks are being dropped.",
        "Webhooks are sent twice.",
        "Webhooks are shuffled within 2 s.",
        "The API answers 1.5 s late.",
        "The API answers every call with 503.",
        "New refunds stay pending.",
    ]
    page.get_by_label("Drop all webhooks").uncheck()
    page.get_by_label("The API", exact=True).select_option("")
    press(page, "Save")
    page.get_by_text("33% of the webhooks are being dropped.").wait_for()
    assert stand_in.look("settings")["api_failure"] is None


def test_the_policy_lets_forms_lead_only_to_the_shop(stand_in: StandIn):
    params = session_params(
        success_url="https://misar.io/done?x=1", cancel_url="http://127.0.0.1:9/cancelled"
    )
    url = stand_in.stripe.v1.checkout.sessions.create(params=params).url
    policy = requests.get(str(url), timeout=120).headers["Content-Security-Policy"]
    assert policy == (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
        "frame-ancestors 'none'; form-action 'self' http://127.0.0.1:9 https://misar.io"
    )


# --- Signing in, mail, and the second factor --------------------------------------------------------


@pytest.fixture
def sign_in_address(start_another: Callable[..., StandIn], shop: str) -> str:
    """The address to which the service sends a browser; here the shop is the service."""
    issuer = start_another(PUBLIC_URL=shop, SSO_CLIENT_ID="web", SSO_CLIENT_SECRET="secret")
    parameters = {
        "client_id": "web",
        "redirect_uri": f"{shop}/callback",
        "response_type": "code",
        "scope": "openid profile email",
        "state": "abc",
    }
    return f"{issuer.url}/sso/authorize?{urlencode(parameters)}"


def test_a_user_of_the_demo_signs_in_with_one_press(page: Any, sign_in_address: str, shop: str):
    page.goto(sign_in_address)
    page.get_by_role("button", name="Dana Demo").click()
    page.wait_for_url(f"{shop}/callback?code=*&state=abc")


def test_a_new_user_signs_in_after_a_mistake(chromium: Any, sign_in_address: str, shop: str):
    tab = chromium.new_context(java_script_enabled=False).new_page()
    tab.set_default_timeout(WAIT_MS_MAX)
    tab.goto(sign_in_address)
    tab.get_by_label("Misar ID").fill("staff:nova")
    tab.get_by_label("Name").fill(HOSTILE)
    press(tab, "Sign in")
    assert "Not signed in" in tab.get_by_role("alert").inner_text()
    assert tab.get_by_label("Name").input_value() == HOSTILE
    tab.get_by_label("Misar ID").fill("usr_nova")
    press(tab, "Sign in")
    tab.wait_for_url(f"{shop}/callback?code=*&state=abc")
    tab.context.close()


def test_a_sign_in_is_cancelled(page: Any, sign_in_address: str, shop: str):
    page.goto(sign_in_address)
    page.get_by_role("link", name="Cancel and go back").click()
    page.wait_for_url(f"{shop}/callback?error=access_denied&*&state=abc")


def test_a_mails_html_is_shown_and_its_script_does_not_run(chromium: Any, stand_in: StandIn):
    page = chromium.new_page()  # Not `tab`: the blocked script is a complaint.
    page.set_default_timeout(WAIT_MS_MAX)
    folder = stand_in.data_dir / "mail"
    folder.mkdir(exist_ok=True)
    content = b"Subject: Hello\nContent-Type: text/html\n\n<p style='color: red'>In the frame</p>"
    (folder / "20260101-000000-1.log").write_bytes(content + b"<script>document.body.remove()</script>")
    page.goto(stand_in.url)
    page.get_by_role("link", name="mail").click()
    page.get_by_role("link", name="Hello").click()
    shown = page.frame_locator("iframe").get_by_text("In the frame")
    shown.wait_for()
    assert shown.evaluate("element => getComputedStyle(element).color") == "rgb(255, 0, 0)"
    shutil.rmtree(folder)
    page.close()


def test_the_next_code_appears_automatically(page: Any, stand_in: StandIn):
    file = stand_in.data_dir / "demo.json"
    page.goto(f"{stand_in.url}/second-factor")
    page.get_by_text("No second factor yet").wait_for()
    file.write_text('{"staff_totp_secret": "JBSWY3DPEHPK3PXP"}')
    page.locator(".figure").wait_for()
    file.unlink()
