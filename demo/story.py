"""The story of the Universal Wallet over real HTTP: shows each request and answer, checks each promise."""

import json
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
from rich.console import Console
from rich.markup import escape

FEATURE = "blog.article.generate"
RACERS = 50
RACE_CREDITS = 20
SPENT_CREDITS = 20
HELD_CREDITS, CAPTURED_CREDITS = 8, 5
DUPLICATES = 10
PATIENCE_SECONDS = 15
DAY_ENDS_SOON_SECONDS = 60


def wait_for_one_day() -> None:
    """If a UTC day is about to end, wait for the next one: a budget of a day begins anew at midnight."""
    now = datetime.now(UTC)
    left = (datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC) - now).total_seconds()
    if left < DAY_ENDS_SOON_SECONDS:
        time.sleep(left + 1)


@dataclass
class Story:
    """One run of the story, and the promises that were not kept."""

    wallet: str
    sandbox: str
    service_key: str
    token_for: Callable[[str], str]
    console: Console
    # Shows that a broken promise is noticed: the retry leaves its key out and charges again.
    forget_the_key: bool = False
    broken: list[str] = field(default_factory=list)

    def tell(self) -> list[str]:
        """Run every chapter. Returns the promises that were broken."""
        # New names each time, so the story can run again on the same data.
        mark = secrets.token_hex(4)
        reader, racer, debtor, guest = (
            f"usr_{each}_{mark}" for each in ("reader", "racer", "debtor", "guest")
        )
        self._prices()
        session_id = self._top_up(reader, dollars=25)
        self._charge(reader)
        self._history(reader)
        hold_id = self._hold(reader)
        self._refund(reader, hold_id)
        self._duplicated_webhook(reader, session_id)
        self._race(racer)
        self._debt(debtor)
        self._grant_and_budget(guest)
        return self.broken

    # --- Chapters ---------------------------------------------------------------------------------

    def _prices(self) -> None:
        self._chapter("Everyone can read the prices")
        answer = self._ask("GET", "/rates", headers={})
        prices = {row["feature"]: row["credits"] for row in answer.json()["rates"]}
        self._promise("the price of an article is listed", prices.get(FEATURE) == 1)

    def _top_up(self, user_id: str, dollars: int) -> str:
        self._chapter(f"{user_id} buys {dollars} credits")
        before = self._balance(user_id, quietly=True)
        body = {"user_id": user_id, "amountDollars": dollars, "product": "blog", "returnUrl": "/wallet"}
        url = self._ask("POST", "/topup-session", json=body).json()["url"]
        self._promise("nothing is credited before the payment", self._balance(user_id) == before)
        session_id = urlsplit(url).path.rpartition("/")[2]
        self._say(f"The user pays at {url}")
        self._control(f"sessions/{session_id}/pay")
        credited = self._wait_for(lambda: self._balance(user_id, quietly=True) == before + dollars)
        self._balance(user_id)
        self._promise(f"the signed webhook credits {dollars}", credited)
        return session_id

    def _charge(self, user_id: str) -> None:
        self._chapter("The blog charges for an article, and retries")
        work = {"user_id": user_id, "feature": FEATURE, "idempotency_key": "article:my-post-slug"}
        first = self._ask("POST", "/deduct", json=work)
        self._promise(
            "1 credit is taken",
            first.json() == {"allowed": True, "balanceBefore": 25, "balanceAfter": 24, "deducted": 1},
        )
        retry = {
            name: value
            for name, value in work.items()
            if name != "idempotency_key" or not self.forget_the_key
        }
        again = self._ask("POST", "/deduct", json=retry)
        self._promise("the same key gives the same answer, byte for byte", again.content == first.content)
        self._promise("a header marks it as a replay", again.headers.get("Idempotent-Replayed") == "true")
        self._promise("the retry takes nothing", self._balance(user_id) == 24)
        other = self._ask("POST", "/deduct", json=work | {"count": 2})
        self._promise("the same key for another count is refused", other.status_code == 409)
        refused = self._ask("POST", "/deduct", json={"user_id": user_id, "feature": FEATURE, "count": 1000})
        self._promise(
            "a charge that the wallet can't pay is denied and takes nothing",
            refused.json() == {"allowed": False, "balanceBefore": 24, "required": 1000},
        )

    def _history(self, user_id: str) -> None:
        self._chapter("The user reads the history, with their own SSO token")
        bearer = {"Authorization": f"Bearer {self.token_for(user_id)}"}
        items = self._ask("GET", "/transactions", headers=bearer).json()["items"]
        rows = [(row["type"], row["credits"], row["balance_after"]) for row in items]
        self._promise("every credit is accounted for", rows == [("deduct", -1, 24), ("topup", 25, 25)])
        stranger = {"Authorization": f"Bearer {self.token_for('usr_stranger')}"}
        answer = self._ask("GET", "/transactions", headers=stranger, params={"user_id": user_id})
        self._promise("another user may not read them", answer.status_code == 403)

    def _hold(self, user_id: str) -> str:
        self._chapter(f"The blog holds {HELD_CREDITS} credits for an answer of up to {HELD_CREDITS} pages")
        work = {"user_id": user_id, "feature": FEATURE, "count": HELD_CREDITS, "idempotency_key": "chat:77"}
        held = self._ask("POST", "/holds", json=work).json()
        self._promise(f"{HELD_CREDITS} credits are held", held["held"] == HELD_CREDITS)
        self._promise(
            "no other charge can spend them", self._balance(user_id) == held["balanceBefore"] - HELD_CREDITS
        )
        self._chapter(f"The answer has {CAPTURED_CREDITS} pages, so the blog captures {CAPTURED_CREDITS}")
        path = f"/holds/{held['holdId']}/capture"
        used = {"user_id": user_id, "count": CAPTURED_CREDITS}
        captured = self._ask("POST", path, json=used)
        left = self._balance(user_id)
        self._promise(
            "only these are charged, and the rest can be spent again",
            left == held["balanceBefore"] - CAPTURED_CREDITS,
        )
        again = self._ask("POST", path, json=used)
        self._promise("the same capture again charges nothing", self._balance(user_id) == left)
        self._promise("and gives the same answer, byte for byte", again.content == captured.content)
        return str(held["holdId"])

    def _refund(self, user_id: str, hold_id: str) -> None:
        self._chapter("Two pages are unusable, so the blog refunds them")
        before = self._balance(user_id, quietly=True)
        body = {"user_id": user_id, "hold_id": hold_id, "credits": 2, "idempotency_key": "undo:chat:77"}
        refund = self._ask("POST", "/refund", json=body).json()
        self._promise("2 credits come back", refund["available"] == before + 2)
        self._promise(
            "the answer says what is left of the charge", refund["refundable"] == CAPTURED_CREDITS - 2
        )
        more = body | {"credits": CAPTURED_CREDITS, "idempotency_key": "undo:chat:77:again"}
        refused = self._ask("POST", "/refund", json=more)
        self._promise("no more can be given back than was charged", refused.status_code == 409)
        self._promise("a refused refund moves nothing", self._balance(user_id) == before + 2)

    def _duplicated_webhook(self, user_id: str, session_id: str) -> None:
        self._chapter(f"Stripe delivers the same event {DUPLICATES} times at once")
        event_id = self._paid_event(session_id)
        before = self._balance(user_id)
        self._control(f"events/{event_id}/resend", times=DUPLICATES, at_once=True)
        arrived = self._wait_for(lambda: self._deliveries_answered(event_id) > DUPLICATES)
        self._promise(f"all {DUPLICATES} are answered with 200", arrived)
        self._promise("the payment is credited once", self._balance(user_id) == before)

    def _paid_event(self, session_id: str) -> str:
        events = self._look("events", session=session_id)
        return str(next(event["id"] for event in events if event["type"] == "checkout.session.completed"))

    def _deliveries_answered(self, event_id: str) -> int:
        """How often the event was delivered and answered with 200, the first time included."""
        deliveries = self._look("deliveries", event=event_id)
        return sum(
            attempt["status"] == requests.codes.ok for one in deliveries for attempt in one["attempts"]
        )

    def _race(self, user_id: str) -> None:
        self._top_up(user_id, dollars=RACE_CREDITS)
        self._chapter(f"{RACERS} charges at once on {RACE_CREDITS} credits")
        body = {"user_id": user_id, "feature": FEATURE}

        def charge(racer: int) -> bool:
            answer = self._ask(
                "POST", "/deduct", json=body | {"idempotency_key": f"race:{racer}"}, quietly=True
            )
            return bool(answer.json()["allowed"])

        with ThreadPoolExecutor(RACERS) as pool:
            allowed = sum(pool.map(charge, range(RACERS)))
        self._say(f"{allowed} allowed, {RACERS - allowed} denied")
        self._promise(f"exactly {RACE_CREDITS} are allowed", allowed == RACE_CREDITS)
        self._promise("the balance is exactly 0", self._balance(user_id) == 0)

    def _debt(self, user_id: str) -> None:
        session_id = self._top_up(user_id, dollars=25)
        self._chapter(f"{user_id} spends {SPENT_CREDITS} credits, and then the bank disputes the payment")
        work = {"user_id": user_id, "feature": FEATURE, "count": SPENT_CREDITS, "idempotency_key": "work"}
        self._ask("POST", "/deduct", json=work)
        self._control(f"sessions/{session_id}/dispute")
        taken = self._wait_for(lambda: self._balance(user_id, quietly=True) == -SPENT_CREDITS)
        self._balance(user_id)
        self._promise("all 25 credits are taken back, so the user owes what was spent", taken)
        more = {"user_id": user_id, "feature": FEATURE, "idempotency_key": "more"}
        refused = self._ask("POST", "/deduct", json=more).json()
        self._promise("nothing more can be charged", refused["allowed"] is False)
        self._top_up(user_id, dollars=25)
        allowed = self._ask("POST", "/deduct", json=more).json()
        self._promise(
            "the next top-up pays the debt first, and then the rest is spent",
            (allowed["allowed"], allowed["balanceBefore"]) == (True, 25 - SPENT_CREDITS),
        )

    def _grant_and_budget(self, user_id: str) -> None:
        wait_for_one_day()
        self._top_up(user_id, dollars=25)
        self._chapter("The blog grants 10 credits for a week, and sets itself a budget of 20 a day")
        ends = f"{datetime.now(UTC) + timedelta(days=7):%Y-%m-%dT%H:%M:%SZ}"
        gift = {"credits": 10, "expires_at": ends, "reason": "Welcome", "idempotency_key": "welcome"}
        granted = self._ask("POST", "/grants", json={"user_id": user_id} | gift)
        self._funds(user_id, balance=35, held=0, granted=10, paid=25, available=35)
        again = self._ask("POST", "/grants", json={"user_id": user_id} | gift)
        self._promise("the same key grants nothing more", again.content == granted.content)
        budget = self._ask(
            "PUT", "/budgets", json={"user_id": user_id, "period": "day", "credits": 20}
        ).json()
        self._promise("all of the budget is left", (budget["spent"], budget["left"]) == (0, 20))
        self._chapter("A charge of 3, and a hold of 8: the granted credits pay first")
        article = {"user_id": user_id, "feature": FEATURE, "count": 3, "idempotency_key": "article:a"}
        self._ask("POST", "/deduct", json=article)
        self._funds(user_id, balance=32, held=0, granted=7, paid=25, available=32)
        chat = {"user_id": user_id, "feature": FEATURE, "count": 8, "idempotency_key": "chat:77"}
        hold_id = self._ask("POST", "/holds", json=chat).json()["holdId"]
        then = self._funds(user_id, balance=32, held=8, granted=7, paid=25, available=24)
        time.sleep(1)  # `at` names a whole second. What comes next must not be in it.
        self._chapter("5 of the 8 are captured, and 2 of the 3 are given back, to the grant")
        self._ask("POST", f"/holds/{hold_id}/capture", json={"user_id": user_id, "count": 5})
        self._funds(user_id, balance=27, held=0, granted=2, paid=25, available=27)
        undo = {"user_id": user_id, "charge_key": "article:a", "credits": 2, "idempotency_key": "undo:a"}
        refund = self._ask("POST", "/refund", json=undo).json()
        said = {name: refund[name] for name in ("refunded", "refundable", "lapsed", "available")}
        self._promise(
            "the refund says what is left",
            said == {"refunded": 2, "refundable": 1, "lapsed": 0, "available": 29},
        )
        self._funds(user_id, balance=29, held=0, granted=4, paid=25, available=29)
        self._chapter("A charge of 15 is more than the budget of the day has left")
        more = {"user_id": user_id, "feature": FEATURE, "count": 15}
        refused = self._ask("POST", "/deduct", json=more).json()
        limit = refused.pop("limitedBy")
        self._promise(
            "it is refused, with what could have been spent",
            refused == {"allowed": False, "balanceBefore": 14, "required": 15},
        )
        self._promise(
            "the budget is named",
            (limit["setBy"], limit["product"], limit["spent"]) == ("product", "blog", 6),
        )
        self._chapter("What the wallet held before the capture can still be read")
        past = self._ask("GET", "/funds", params={"user_id": user_id, "at": then["at"]}).json()
        self._promise("it is what was read then", past == then)

    def _funds(self, user_id: str, **expected: int) -> Any:
        """Read the funds and promise these figures. Returns the answer."""
        funds = self._ask("GET", "/funds", params={"user_id": user_id}).json()
        figures = ", ".join(f"{name} {credits}" for name, credits in expected.items())
        self._promise(figures, {name: funds[name] for name in expected} == expected)
        return funds

    # --- Requests and output ----------------------------------------------------------------------

    def _ask(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        quietly: bool = False,
        **rest: Any,
    ) -> requests.Response:
        headers = {"x-wallet-service-key": self.service_key} if headers is None else headers
        answer = requests.request(
            method, f"{self.wallet}/io/wallet{path}", headers=headers, timeout=PATIENCE_SECONDS, **rest
        )
        if not quietly:
            query = "?" + "&".join(f"{k}={v}" for k, v in rest["params"].items()) if "params" in rest else ""
            sent = f" {json.dumps(rest['json'])}" if "json" in rest else ""
            self.console.print(f"  [bold]{method}[/] /io/wallet{path}{query}{escape(sent)}", highlight=False)
            self.console.print(f"    [dim]{answer.status_code}[/] {escape(answer.text)}", highlight=False)
        return answer

    def _balance(self, user_id: str, quietly: bool = False) -> int:
        answer = self._ask("GET", "/balance", params={"user_id": user_id}, quietly=quietly)
        return int(answer.json()["credits"])

    def _control(self, path: str, **body: Any) -> Any:
        answer = requests.post(f"{self.sandbox}/_sandbox/{path}", json=body, timeout=PATIENCE_SECONDS)
        answer.raise_for_status()
        return answer.json()

    def _look(self, path: str, **query: str) -> Any:
        answer = requests.get(f"{self.sandbox}/_sandbox/{path}", params=query, timeout=PATIENCE_SECONDS)
        answer.raise_for_status()
        return answer.json()["data"]

    def _wait_for(self, happened: Callable[[], bool]) -> bool:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up_at:
            if happened():
                return True
            time.sleep(0.1)
        return False

    def _chapter(self, title: str) -> None:
        self.console.print(f"\n[bold]{escape(title)}[/]")

    def _say(self, sentence: str) -> None:
        self.console.print(f"  {escape(sentence)}", highlight=False)

    def _promise(self, promise: str, kept: bool) -> None:
        mark = "[green]kept[/]  " if kept else "[red]BROKEN[/]"
        self.console.print(f"  {mark} {escape(promise)}", highlight=False)
        if not kept:
            self.broken.append(promise)
