"""How much longer back-office pages take with a long ledger: read with a short one, then with a long one."""

import http.client
from collections.abc import Callable

from accounts.models import User
from accounts.signing_in import second_factor, sessions
from bench.growth import books
from bench.growth.books import HEAVY
from bench.histories import Timing, session_of, timed

SHORT_ENTRIES, LONG_ENTRIES = 10_000, 1_000_000

PAGES = {
    "the list of entries": "/admin/wallet/entry/",
    "its last page": "/admin/wallet/entry/?p=200",
    "entries of one kind and product": "/admin/wallet/entry/?kind__exact=refund&product__exact=mail",
    "a search by Misar ID": f"/admin/wallet/entry/?q={HEAVY}",
    "a search by idempotency key": "/admin/wallet/entry/?q=key:79",
    "one user, a tenth of all entries": "/admin/user/usr_5Fheavy/",
    "the overview, days added up": "/admin/",
}


class Page(Timing):
    """A page, timed with the short ledger and later with the long one."""

    @property
    def ratio(self) -> float:
        """The ratio of the two medians: there are no pairs, since the ledger grew between the reads."""
        return self.long_ms / self.short_ms


def read(
    address: tuple[str, int],
    times: int,
    *,
    long: int = LONG_ENTRIES,
    on_read: Callable[[], None] = lambda: None,
) -> list[Page]:
    """Read each page with a short ledger, and again with one of `long` entries in its place."""
    cookie = session_of_staff("bench")
    pages = [Page(title, path) for title, path in PAGES.items()]
    caller = http.client.HTTPConnection(*address, timeout=30)
    for name, entries in (("short", min(SHORT_ENTRIES, long)), ("long", long)):
        books.write(entries)
        for number in range(times + 1):
            for page in pages:
                milliseconds = timed(caller, page.path, cookie)
                if number:  # The first round warms caches and connections.
                    page.milliseconds[name].append(milliseconds)
            on_read()
    caller.close()
    return pages


def session_of_staff(name: str) -> dict[str, str]:
    """The cookie of a new staff member of this name, who may see everything."""
    staff = User.objects.create_superuser(name)
    second_factor.set_up(staff, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    return session_of(staff, also=lambda session: sessions.note_passed(session, staff))
