"""Receipts: what was paid, by whom, and what became of it; on a page and as a file, and only one's own."""

import re
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import buyers
from accounts.buyers import Buyer
from foundation.typesetting import documents
from tests.factories import UserFactory
from tests.html import browser_of, link, table, words
from tests.wallet.pages.papers import text_of
from tests.wallet.reversed import charge_of, dispute_of, refund_of
from wallet.models import TopUp
from wallet.pages import paper_views
from wallet.payments import receipted, reversals

pytestmark = pytest.mark.django_db

ACME = Buyer("Acme GmbH", "Hauptstraße 1\n10115 Berlin", "Germany", "DE123456789")


@pytest.fixture
def dana(settings):
    settings.ISSUER_NAME, settings.ISSUER_ADDRESS = "Misar Ltd", ["1 Long Road", "Valletta"]
    settings.ISSUER_TAX_NUMBER = "MT12345678"
    return UserFactory.create(misar_id="usr_dana", name="Dana <Demo>")


@pytest.fixture
def topup(dana, give):
    return TopUp.objects.get(entry=give(dana.pk, 25))


def day_of(topup):
    return f"{topup.paid_at.day} {topup.paid_at:%B %Y}"


def totals(answer):
    pairs = re.findall(r"<div><dt>(.*?)</dt><dd>(.*?)</dd></div>", answer.content.decode())
    return dict(pairs)


def paper(browser, topup):
    """The page and the text of the file of a receipt."""
    page = browser.get(f"/wallet/receipts/{topup.pk}")
    file = browser.get(f"/wallet/receipts/{topup.pk}.pdf")
    assert (page.status_code, file.status_code) == (200, 200)
    assert file["Content-Type"] == "application/pdf"
    assert file["Content-Disposition"] == f'attachment; filename="receipt-{topup.pk}.pdf"'
    return page, text_of(file.content)


def test_a_receipt_has_what_a_tax_office_wants(dana, topup):
    buyers.save(dana.pk, ACME)
    page, file = paper(browser_of(dana), topup)
    for text in (words(page), file):
        for line in (
            *("Misar Ltd", "1 Long Road", "Valletta", "Tax number MT12345678"),
            *("Acme GmbH", "Hauptstraße 1", "10115 Berlin", "Germany", "VAT number DE123456789"),
            *(
                topup.pk,
                f"{day_of(topup)}, {topup.paid_at:%H:%M} UTC",
                "Misar ID usr_dana",
                topup.payment_intent_id,
                "Card, through Stripe",
            ),
            *("Misar credits 25 1.00 25.00", "No tax was added to this payment."),
        ):
            assert line in text
        assert "Since the payment" not in text
    assert totals(page) == {"Tax": "0.00 USD", "Total paid": "25.00 USD"}
    assert "Tax 0.00 Total paid 25.00" in file


def test_without_details_the_buyer_is_the_user_and_the_issuer_is_left_out(dana, topup, settings):
    settings.ISSUER_NAME, settings.ISSUER_ADDRESS, settings.ISSUER_TAX_NUMBER = "", [], ""
    page, file = paper(browser_of(dana), topup)
    assert "Bought by Dana <Demo>" in words(page)
    assert "Sold by" not in words(page)
    assert "Dana <Demo>" in file
    assert "Tax number" not in file
    assert "VAT number" not in file


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Zoë Ångström", "Zoë Ångström"),
        ("Иван Петров", "Иван Петров"),
        ("Γιώργος Παππάς", "Γιώργος Παππάς"),
        ("王小明", "王小明"),
        ("山田太郎 ひらがな カタカナ", "山田太郎 ひらがな カタカナ"),
        ("김철수", "김철수"),
        ("สมชาย", "สมชาย"),
    ],
)
def test_a_name_in_its_own_script_is_in_the_file(dana, topup, name, shown):
    buyers.save(dana.pk, Buyer(name=name))
    _, file = paper(browser_of(dana), topup)
    assert shown in file
    assert "cannot be printed" not in file


@pytest.mark.parametrize("name", ["محمد عبد الله", "שרה כהן", "नरेंद्र"])
def test_scripts_that_run_to_the_left_or_join_have_their_letters(dana, topup, name):
    """Readers of files give the letters of these scripts in their visual order, so each one is looked for."""
    buyers.save(dana.pk, Buyer(name=name))
    _, file = paper(browser_of(dana), topup)
    assert set(name) <= set(file)
    assert "cannot be printed" not in file


def test_a_character_that_no_font_has_is_said(dana, topup):
    buyers.save(dana.pk, Buyer(name="Nora 🙂 ᠮᠣᠩᠭᠣᠯ"))
    page, file = paper(browser_of(dana), topup)
    assert "Nora" in file
    assert "Some characters on this paper cannot be printed and are shown as boxes." in file
    assert "Nora 🙂 ᠮᠣᠩᠭᠣᠯ" in words(page)


def test_text_of_a_user_is_never_run_as_a_program(dana, topup):
    program = '#read("/etc/passwd") $x$ = *b* <script>'
    buyers.save(dana.pk, Buyer(name=program))
    page, file = paper(browser_of(dana), topup)
    assert program in file
    assert program in words(page)
    assert b"<script>" not in page.content.replace(b"<script src", b"")


def test_the_longest_texts_are_on_the_paper(dana, topup):
    buyers.save(dana.pk, Buyer("W" * 200, "\n".join(["x" * 124] * 4), "Z" * 80, "1" * 40))
    _, file = paper(browser_of(dana), topup)
    letters = file.replace(" ", "").replace("\u200b", "")
    for text in ("W" * 200, "x" * 496, "Z" * 80, "1" * 40):
        assert text in letters


def test_the_same_receipt_is_the_same_file(dana, topup):
    browser = browser_of(dana)
    one, other = (browser.get(f"/wallet/receipts/{topup.pk}.pdf").content for _ in range(2))
    assert one == other
    assert b"/StructTreeRoot" in one or b"/MarkInfo" in one  # Tagged, so a screen reader can read it.


def test_refunds_and_disputes_since_are_listed_and_add_up(dana, topup):
    now, intent = timezone.now(), topup.payment_intent_id
    reversals.refund(refund_of(intent, 500, id="re_1"), happened_at=now)
    reversals.refund(refund_of(intent, 300, id="re_2", status="pending"), happened_at=now)
    reversals.refund(refund_of(intent, 900, id="re_3", status="failed"), happened_at=now)
    reversals.dispute(dispute_of(intent, -1000, 400, id="dp_1"), happened_at=now)
    page, file = paper(browser_of(dana), topup)
    rows = {row[0]: row[2] for row in table(page, "since")}
    assert rows == {
        "Refund re_1": "−5.00",
        "Refund re_2, on its way": "−3.00",
        "Dispute by your bank dp_1": "−6.00",
    }
    assert totals(page) == {
        "Tax": "0.00 USD",
        "Total paid": "25.00 USD",
        "Returned since": "−14.00 USD",
        "Left": "11.00 USD",
    }
    for line in (
        "Refund re_1 −5.00",
        "Dispute by your bank dp_1 −6.00",
        "Left 11.00",
        "State Partly disputed",
    ):
        assert line in file


def test_a_refund_that_only_its_charge_reported_is_listed(dana, topup):
    reversals.charge(charge_of(topup.payment_intent_id, 2500), happened_at=timezone.now())
    page, _ = paper(browser_of(dana), topup)
    assert table(page, "since") == [["Refund", "–", "−25.00"]]
    assert totals(page)["Left"] == "0.00 USD"
    assert "Refunded" in words(page)


def test_another_users_receipt_is_not_found(dana, topup):
    stranger = browser_of()
    for path in (f"/wallet/receipts/{topup.pk}", f"/wallet/receipts/{topup.pk}.pdf"):
        assert stranger.get(path).status_code == 404
    assert stranger.get(f"/wallet/receipts/entry/{topup.entry_id}")["Location"] == "/wallet/receipts"
    assert "No receipt yet" in words(stranger.get("/wallet/receipts"))


def test_a_topup_that_was_not_paid_has_no_receipt(dana):
    topup = TopUp.objects.create(user_id=dana.pk, state=TopUp.State.CREATED, stripe_session_id="cs_9")
    browser = browser_of(dana)
    assert browser.get(f"/wallet/receipts/{topup.pk}").status_code == 404
    assert topup.pk not in browser.get("/wallet/receipts").content.decode()


def test_the_history_and_the_list_lead_to_the_receipt(dana, topup):
    browser = browser_of(dana)
    found = browser.get(link(browser.get("/wallet"), "Top-up"))
    assert found["Location"] == f"/wallet/receipts/{topup.pk}"
    shown = words(browser.get("/wallet/receipts"))
    assert f"{day_of(topup)} 25 credits $25.00 PDF" in shown


def test_long_lists_have_pages_and_cost_no_query_more(dana, give, monkeypatch):
    browser = browser_of(dana)
    for dollars in range(1, 6):
        give(dana.pk, dollars)
    with CaptureQueriesContext(connection) as all_at_once:
        every = re.findall(r"\$\d\.00", words(browser.get("/wallet/receipts")))
    monkeypatch.setattr(receipted, "RECEIPTS_A_PAGE", 2)
    with CaptureQueriesContext(connection) as of_two:
        page = browser.get("/wallet/receipts")
    assert len(of_two) == len(all_at_once)
    shown = []
    while True:
        shown += re.findall(r"\$\d\.00", words(page))
        if "Older" not in words(page):
            break
        page = browser.get("/wallet/receipts" + link(page, "Older").removeprefix("/wallet/receipts"))
    assert shown == every == ["$5.00", "$4.00", "$3.00", "$2.00", "$1.00"]


def test_a_file_that_cannot_be_made_now_says_so(dana, topup, monkeypatch):
    monkeypatch.setattr(documents, "SECONDS_MAX", 0.001)
    answer = browser_of(dana).get(f"/wallet/receipts/{topup.pk}.pdf")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "This file cannot be made right now." in words(answer)


def test_a_file_waits_for_its_turn_and_not_for_ever(dana, topup, monkeypatch):
    monkeypatch.setattr(documents, "WAIT_SECONDS", 0.05)
    turns = [documents._turns.acquire(timeout=1) for _ in range(documents.FILES_AT_ONCE)]
    try:
        assert browser_of(dana).get(f"/wallet/receipts/{topup.pk}.pdf").status_code == 503
    finally:
        for _ in turns:
            documents._turns.release()
    assert browser_of(dana).get(f"/wallet/receipts/{topup.pk}.pdf").status_code == 200


def test_one_user_does_not_take_every_turn(dana, topup, monkeypatch, one_window):
    monkeypatch.setattr(paper_views, "FILES_PER_MINUTE", 2)
    browser, file = browser_of(dana), f"/wallet/receipts/{topup.pk}.pdf"
    assert [browser.get(each).status_code for each in (file, "/wallet/statements/2026-01.pdf")] == [200, 200]
    refused = browser.get(file)
    assert (refused.status_code, int(refused["Retry-After"]) > 0) == (429, True)
    assert "Too many files in one minute." in words(refused)
    assert browser.get(file.removesuffix(".pdf")).status_code == 200
    assert browser_of().get("/wallet/statements/2026-01.pdf").status_code == 200


def test_few_requests_wait_for_their_turn(dana, topup, monkeypatch):
    """Each one that waits occupies a thread, which charges need."""
    places = documents.FILES_AT_ONCE + documents.WAITING_AT_ONCE
    for _ in range(places):
        assert documents._places().acquire(blocking=False)
    try:
        monkeypatch.setattr(documents, "WAIT_SECONDS", 60)
        assert browser_of(dana).get(f"/wallet/receipts/{topup.pk}.pdf").status_code == 503
    finally:
        for _ in range(places):
            documents._places().release()
    assert browser_of(dana).get(f"/wallet/receipts/{topup.pk}.pdf").status_code == 200


def test_a_template_that_fails_is_an_error_of_ours(tmp_path: Path):
    wrong = tmp_path / "wrong.typ"
    wrong.write_text("#nothing-of-this-name")
    with pytest.raises(RuntimeError, match=r"wrong\.typ was not set"):
        documents.pdf(wrong, {})
