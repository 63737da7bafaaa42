"""The charge, and the reads of a user, a creator and staff, over HTTP with books of one length."""

import http.client
import json
from collections.abc import Callable, Iterator
from datetime import date
from itertools import cycle
from urllib.parse import urlencode

from django.db import connection
from django.utils import timezone

from accounts.models import User
from accounts.service_keys import issue_service_key
from bench import client, consumption, histories, ledgers
from bench.growth.books import HEAVY
from bench.histories import session_of, timed
from bench.plan import EVERY_THREAD, LONG, History
from foundation.http.cursors import cursor_at
from monetization.days import closing
from wallet.models import Entry, Wallet
from wallet.prices.rates import DEFAULT_RATES

CHARGE, CHARGES_CPU, CHARGES = "a charge", "a charge, CPU ms", "a charge, ms between two (every thread busy)"
FIRST_PAGE, DEEP_PAGE = "first page of 20", "page 10,000 rows deep"
DEPTH = 10_000
FEATURE = DEFAULT_RATES[0][0]
# A creator has one tip for so many entries of the books, but at most as many as the longest history of `make
# bench`, and one subscription for ten tips.
ENTRIES_A_TIP = 5
CREATORS_TABLES = "monetization_tip, monetization_subscription, monetization_subscriptionevent"

Request = Callable[[], float]


class Reader:
    """Sends the requests, and notes how long each took."""

    def __init__(self, address: tuple[str, int], entries: int, name: str) -> None:
        """`name` tells this writing of the books from others, for the creator's history."""
        self._address = address
        self._caller = http.client.HTTPConnection(*address, timeout=60)
        _, self._secret = issue_service_key(product=f"growth-{name}")
        self._bodies = self._charges()
        self._requests = dict(self._all(entries, name))

    def read(self, times: int) -> dict[str, list[float]]:
        """Return the milliseconds of each request, by its title. Each is sent `times` times, in turn."""
        milliseconds: dict[str, list[float]] = {title: [] for title in self._requests}
        for number in range(times + 1):
            for title, request in self._requests.items():
                taken = request()
                if number:  # The first round warms caches and connections.
                    milliseconds[title].append(taken)
        return milliseconds

    def charge(self, seconds: float) -> dict[str, list[float]]:
        """Charge over as many connections as the server has threads. Return milliseconds of each charge."""
        requests = (client.post("/io/wallet/deduct", self._secret, body) for body in self._bodies)
        with client.connected(self._address, EVERY_THREAD) as connections:
            client.load(connections, requests, min(1.0, seconds))
            before = self._processor_seconds()
            answers = client.load(connections, requests, seconds)
        spent = self._processor_seconds() - before
        assert not answers.errors, answers.errors[0]
        charged = len(answers.latencies)
        return {CHARGES: [answers.seconds * 1000 / charged], CHARGES_CPU: [spent * 1000 / charged]}

    @staticmethod
    def _processor_seconds() -> float:
        pids = [*consumption.web_workers(), *consumption.database_backends()]
        return consumption.processor_seconds(pids)

    @staticmethod
    def _charges() -> Iterator[dict[str, str]]:
        """Yield the bodies of charges, of all usual wallets in turn."""
        wallets = Wallet.objects.exclude(pk=HEAVY).values_list("pk", flat=True).order_by("pk")
        for number, wallet in enumerate(cycle(wallets)):
            yield {"user_id": wallet, "feature": FEATURE, "idempotency_key": f"growth:{number}"}

    def _all(self, entries: int, name: str) -> Iterator[tuple[str, Request]]:
        yield CHARGE, self._charge
        service = {"x-wallet-service-key": self._secret}
        newest = Wallet.objects.get(pk=HEAVY).entries_count
        deep = Entry.objects.get(wallet_id=HEAVY, sequence=max(newest - DEPTH, newest // 10))
        older = urlencode({"cursor": cursor_at(deep.pk)})
        transactions = f"/io/wallet/transactions?user_id={HEAVY}"
        yield "the balance", self._get(f"/io/wallet/balance?user_id={HEAVY}", service)
        yield FIRST_PAGE, self._get(transactions, service)
        yield DEEP_PAGE, self._get(f"{transactions}&{older}", service)
        yield f"{FIRST_PAGE}, of 100 rows", self._get(f"{transactions}&limit=100", service)
        yield f"{DEEP_PAGE}, of 100 rows", self._get(f"{transactions}&limit=100&{older}", service)

        user, _ = User.objects.get_or_create(misar_id=HEAVY)
        browser = session_of(user)
        month = f"{timezone.now():%Y-%m}"
        yield "the wallet's page", self._get("/wallet", browser)
        yield f"the wallet's page, {DEEP_PAGE}", self._get(f"/wallet?{older}", browser)
        yield "the list of statements", self._get("/wallet/statements", browser)
        yield "the statement of this month", self._get(f"/wallet/statements/{month}", browser)

        tips = min(entries // ENTRIES_A_TIP, LONG.tips)
        creator = histories.filled(History(name, tips=tips, subscriptions=tips // 10))
        closing.reopen(date.min)
        closing.close_days()
        with connection.cursor() as cursor:
            cursor.execute(f"VACUUM (ANALYZE) {CREATORS_TABLES}")
        key, browser = histories.with_a_key(creator), session_of(creator)
        for title, path in histories.PATHS.items():
            yield f"a creator's {title}", self._get(path, key)
        yield "a creator's dashboard", self._get("/dashboard?range=all", browser)

        staff = ledgers.session_of_staff(f"growth-{name}")
        for title, path in ledgers.PAGES.items():
            yield f"staff: {title}", self._get(path, staff)

    def _get(self, path: str, headers: dict[str, str]) -> Request:
        return lambda: timed(self._caller, path, headers)

    def _charge(self) -> float:
        body = json.dumps(next(self._bodies))
        headers = {"x-wallet-service-key": self._secret, "Content-Type": "application/json"}
        return timed(self._caller, "/io/wallet/deduct", headers, body)
