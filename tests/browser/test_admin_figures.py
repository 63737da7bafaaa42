"""Staff read the overview, compare it with the period before, write a note, and adjust a balance."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import expect

from tests.factories import StaffFactory, UserFactory
from tests.wallet.past import charged, topped_up
from wallet.books.funds import funds_of
from wallet.models import StripeEvent

LOOKS = [("desktop", "light"), ("phone", "dark")]
DAY = timedelta(days=1)
# Pixels of a colour in the upper third of the first chart's plot: how many are of bars, and of a line.
# A bar goes on below the third; a line of the same colour crosses a column of pixels and does not.
# Chromium complains about a canvas that is read twice.
PIXELS = """
(token) => {
  const plot = document.querySelector("figure[data-chart=bars]");
  const canvas = plot.querySelector("canvas");
  const over = plot.querySelector(".u-over");
  const scale = canvas.width / canvas.clientWidth;
  const [left, top, width, height] = [over.offsetLeft, over.offsetTop, over.clientWidth, over.clientHeight]
    .map((each) => Math.round(each * scale));
  const rows = Math.round(height / 3);
  const { data } = canvas.getContext("2d").getImageData(left, top, width, rows);
  const colour = getComputedStyle(document.documentElement).getPropertyValue(token).trim();
  const wanted = colour.match(/[0-9a-f]{2}/gi).map((part) => parseInt(part, 16));
  const has = (x, y) => wanted.every((part, index) => data[(y * width + x) * 4 + index] === part);
  let [bars, line] = [0, 0];
  for (let x = 0; x < width; x++) {
    const count = [...Array(rows).keys()].filter((y) => has(x, y)).length;
    if (has(x, rows - 1)) bars += count;
    else line += count;
  }
  return [bars, line];
}
"""


@pytest.fixture
def history(site):
    """Two periods of top-ups and charges of Ada; one top-up of this period is far larger than all others."""
    UserFactory.create(misar_id="usr_1", name="Ada Lovelace")
    now = timezone.now()
    for ago in range(59, 0, -4):
        with transaction.atomic():
            topped_up(5000 if ago == 11 else 20, now - ago * DAY, user_id="usr_1", product="blog")
            charged(6, now - ago * DAY, user_id="usr_1", product="blog")
    StripeEvent.objects.create(
        id="evt_1",
        type="charge.refunded",
        state="parked",
        payload='{"id": "evt_1", "client_secret": "cs_secret", "object": {"amount": 500}}',
    )


@pytest.fixture
def bea(open_browser):
    def come(size, scheme):
        member = StaffFactory.create(misar_id="staff:bea", name="Bea", is_superuser=False)
        member.groups.add(Group.objects.get(name="billing"))
        person = open_browser(size=size, scheme=scheme)
        person.comes_signed_in(member, going_to="/admin/")
        return person

    return come


@pytest.mark.parametrize("look", LOOKS, ids=" ".join)
def test_staff_compare_periods_write_a_note_and_preview_an_adjustment(history, bea, look):
    person = bea(*look)
    # The overview: words, the line of the period before, and a bar that is cut.
    assert person.sees("% on the 30 days before")
    assert person.sees("Topped up, 30 days before")
    cut = person.page.locator(".chart-cut").first.inner_text()
    assert cut.startswith("Beyond the axis: 5,000 (")
    # Other bars, of 20 credits, and the line of the period before reach into the upper third of the plot.
    bars, line = person.page.evaluate(PIXELS, "--chart-1")
    assert bars > 100
    assert line > 10
    # Each of the two lines has the colour of its own figures, so that they can be told apart.
    keys = person.page.locator("figure[data-chart=bars]").first.locator(".chart-key-before")
    colours = keys.evaluate_all("all => all.map((each) => getComputedStyle(each, '::before').borderTopColor)")
    assert len(set(colours)) == len(colours) == 2
    person.is_never_stopped_by_the_page()

    # A note on a user.
    person.goes_to("/admin/user/usr_5F1/")
    person.page.get_by_text("Add a note").click()
    person.presses("Save this note")
    assert person.sees("This field is required.")
    person.is_never_stopped_by_the_page()
    person.types("Note", "Called about October.")
    person.presses("Save this note")
    assert person.is_at("/admin/user/usr_5F1/#notes")
    assert person.sees("Called about October.")
    person.is_never_stopped_by_the_page()

    # An adjustment says what the balance becomes, and then does it.
    balance = funds_of("usr_1").balance
    person.follows("Adjust the balance")
    person.page.get_by_role("spinbutton", name="Credits").fill("3")
    person.types("Reason", "Goodwill")
    person.presses("Preview")
    shown = person.page.locator("#preview dd")
    shown.wait_for()
    assert shown.inner_text().replace("\n", " ").split()[0] == f"{balance:,}"
    expect(shown).to_contain_text(f"{balance + 3:,} credits")
    expect(shown).to_be_in_viewport()
    assert funds_of("usr_1").balance == balance
    person.is_never_stopped_by_the_page()
    person.presses("Adjust the balance")
    assert person.is_at("/admin/user/usr_5F1/")
    assert funds_of("usr_1").balance == balance + 3

    # The JSON of an event.
    person.goes_to("/admin/wallet/stripeevent/evt_5F1/change/")
    text = person.page.locator("#payload").inner_text()
    assert '"client_secret": "(hidden)"' in text
    assert text.rstrip().endswith("}")
    person.presses("Copy the JSON")
    person.page.locator("[data-copied]", has_text=".").first.wait_for()
    person.is_never_stopped_by_the_page()
