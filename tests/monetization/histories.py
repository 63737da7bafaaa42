"""What creators may live through, made up by chance, with a plain note of each thing that happened.

A life is written by the verbs that production uses, and says from its notes what every figure should be. The
chance may be a seeded one, or Hypothesis's, which then looks for the shortest life that goes wrong.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from math import floor
from random import Random
from typing import Any

from accounts import plans
from monetization import sponsors
from monetization.figures.stats import Churn, Figures
from monetization.privacy import erasure
from tests.factories import UserFactory
from tests.monetization.records import change, clock_at, days, place, refund, subscribe, tip


def half_up(exact):
    return floor(exact + Fraction(1, 2))


TIMES = {"monthly": 12, "annual": 1, "quarterly": 4, "weekly": 52, "gold": 0}


class Life:
    """What one creator lives through, and a plain note of each thing that happened."""

    def __init__(self, chance, rate):
        plan = plans.set_plan(
            slug=f"plan-{rate}", name="Odd", fee_bps=rate, key_limit=None, actor="user:staff:1"
        )
        self.creator: Any = UserFactory(plan=plan)
        self.chance, self.rate = chance, rate
        self.tips = []  # row, moment, currency, gross, fee; refunded and given back so far
        self.refunds = []  # moment, currency, amount, fee given back
        self.subscriptions = []  # row, currency, reader, and each (moment, status, plan, amount)
        self.sponsors = []  # row, currency, price, beginning, whether cancelled

    def currency(self):
        return self.chance.choice(["USD", "USD", "USD", "EUR", "JPY"])

    def reader(self):
        return f"reader{self.chance.randrange(12)}@example.com"

    def go_on(self, now):
        """One more thing that happens to them."""
        acts = [self.give, self.give, self.give_back, self.subscribe, self.change, self.change, self.sell]
        with clock_at(now):
            self.chance.choice(acts)(now)

    def give(self, now):
        gross, currency = self.chance.randint(50, 3000), self.currency()
        reader = self.chance.choice([self.reader(), self.reader().upper(), ""])
        name = self.chance.choice(["Alex", "Sam", ""])
        row = tip(self.creator, gross, currency=currency, email=reader, name=name)
        fee = half_up(Fraction(gross * self.rate, 10_000))
        self.tips.append({"row": row, "at": now, "currency": currency, "gross": gross, "fee": fee, "back": 0})

    def give_back(self, now):
        if not self.tips:
            return
        given = self.chance.choice(self.tips)
        if left := given["gross"] - given["back"]:
            part = self.chance.choice([left, self.chance.randint(1, left)])
            refund(given["row"], part, key=f"form-{len(self.refunds)}")
            share = Fraction(given["fee"], given["gross"])
            fee = half_up(share * (given["back"] + part)) - half_up(share * given["back"])
            given["back"] += part
            self.refunds.append({"at": now, "currency": given["currency"], "amount": part, "fee": fee})

    def subscribe(self, now):
        plan, amount, currency = (
            self.chance.choice(list(TIMES)),
            self.chance.randint(0, 3000),
            self.currency(),
        )
        reader = self.reader()
        written = self.chance.choice([reader, reader.upper()])
        row = subscribe(self.creator, written, plan=plan, amount_cents=amount, currency=currency)
        self.subscriptions.append(
            {"row": row, "currency": currency, "reader": reader, "log": [(now, "active", plan, amount)]}
        )

    def change(self, now):
        if not self.subscriptions:
            return
        one = self.chance.choice(self.subscriptions)
        _, _, plan, amount = one["log"][-1]
        status = self.chance.choice(["active", "past_due", "cancelled", "cancelled"])
        if self.chance.random() < 0.3:
            plan, amount = self.chance.choice(list(TIMES)), self.chance.randint(0, 3000)
        change(one["row"], status=status, plan=plan, amount_cents=amount)
        one["log"].append((now, status, plan, amount))

    def sell(self, now):
        if self.sponsors and self.chance.random() < 0.3:
            sold = self.chance.choice(self.sponsors)
            if not sold["cancelled"] and sold["row"].active_until > now:
                sponsors.cancel(creator=self.creator, sponsor_id=sold["row"].pk)
                sold["cancelled"] = True
            return
        price = self.chance.choice([None, 0, 100, 29900])
        starts, currency = now + days(self.chance.randint(-20, 20)), self.currency()
        row = place(self.creator, starts=starts, price_cents=price, currency=currency)
        self.sponsors.append(
            {"row": row, "currency": currency, "price": price or 0, "starts": starts, "cancelled": False}
        )

    def forget(self, reader, times):
        """An erased reader who comes again is a new reader."""
        for one in self.subscriptions:
            if one["reader"] == reader:
                one["reader"] = f"{reader} (erased {times})"

    # --- What the figures should be ---

    def figures(self, now, length):
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        since, until = midnight - days(length - 1), midnight + days(1)
        currencies = {"USD", "EUR", "JPY"}
        return {currency: self.figures_in(currency, now, since, until) for currency in currencies}

    def figures_in(self, currency, now, since, until):
        given = [each for each in self.tips if each["currency"] == currency and each["at"] >= since]
        back = [each for each in self.refunds if each["currency"] == currency and each["at"] >= since]
        booked = [
            each
            for each in self.sponsors
            if each["currency"] == currency and not each["cancelled"] and since <= each["starts"] < until
        ]
        mine = [each for each in self.subscriptions if each["currency"] == currency]
        paying = [each for each in mine if each["log"][-1][1] != "cancelled"]
        gross, fee = sum(each["gross"] for each in given), sum(each["fee"] for each in given)
        then, pays = self.payers(mine, now - days(30)), self.payers(mine, now)
        paid = self.payers(mine, since - timedelta(microseconds=1))
        return Figures(
            gross_cents=gross,
            fee_cents=fee,
            net_cents=gross - fee,
            tips=len(given),
            refunds=len(back),
            refunded_cents=sum(each["amount"] for each in back),
            fee_returned_cents=sum(each["fee"] for each in back),
            sponsors_booked=len(booked),
            sponsors_booked_cents=sum(each["price"] for each in booked),
            sponsors_active_now=sum(
                each["starts"] <= now < each["starts"] + days(7)
                for each in self.sponsors
                if each["currency"] == currency and not each["cancelled"]
            ),
            mrr_cents=self.monthly(paying),
            at_risk_cents=self.monthly([each for each in paying if each["log"][-1][1] == "past_due"]),
            paying_subscribers=len({each["reader"] for each in paying}),
            new_subscribers=len(pays - paid),
            left_subscribers=len(paid - pays),
            subscriptions_of_unknown_interval=sum(each["log"][-1][2] == "gold" for each in paying),
            churn=Churn(left=len(then - pays), of=len(then)),
        )

    def monthly(self, subscriptions):
        log = [each["log"][-1] for each in subscriptions]
        return half_up(sum((Fraction(amount * TIMES[plan], 12) for *_, plan, amount in log), Fraction(0)))

    def payers(self, subscriptions, moment):
        found = set()
        for each in subscriptions:
            states = [status for at, status, *_ in each["log"] if at <= moment]
            if states and states[-1] != "cancelled":
                found.add(each["reader"])
        return found


def lived(chance: Random, lives: list[Life], gaps: Iterable[int], ends: datetime) -> Iterator[datetime]:
    """Let one thing happen after each gap, in minutes, the last at `ends`; yields the moment after each.

    Now and then a reader is erased, over all creators.
    """
    gaps = list(gaps)
    now, erased = ends - timedelta(minutes=sum(gaps)), 0
    for gap in gaps:
        now += timedelta(minutes=gap)
        chance.choice(lives).go_on(now)
        if chance.randrange(30) == 0:
            reader, erased = f"reader{chance.randrange(12)}@example.com", erased + 1
            erasure.erase(reader, actor="operator")
            for life in lives:
                life.forget(reader, erased)
        yield now
