"""The steps of random histories that concern grants, budgets, and what the wallet had at a past time."""

from datetime import UTC, datetime, time, timedelta

import pytest

from tests.wallet import by_hand
from tests.wallet.charges.steps import A_MOMENT, BEGINNING, PRODUCTS, STAFF, Steps, facts_of_budget
from wallet.books.funds import funds_of
from wallet.charges import budgets
from wallet.errors import FutureTime
from wallet.grants import granting
from wallet.grants.caps import Caps
from wallet.models import Lot

CAPS = Caps(10**6, 10**9)  # Of products; never reached.


class StepsOfGrants(Steps):
    # --- Grants ---

    def grant(self, random):
        product = random.choice([*PRODUCTS, ""])  # "": staff.
        asked = self.with_key(
            random,
            "grant",
            product=product,
            credits=random.randint(1, 9),
            expires_at=self.an_end(random),
            reason=random.choice(["Welcome", "Sorry"]),
            actor="service:wsk" if product else random.choice([STAFF, STAFF, STAFF, "user:staff:2"]),
        )

        def grant():
            caps = CAPS if asked["product"] else None
            granted = by_hand.grant(user_id=self.user_id, **asked, caps=caps)
            lot = granted.lot
            if not granted.replayed:
                self.lot_ids.append(lot.pk)
                self.model.lots.rows[-1].id = lot.pk
            number = self.lot_ids.index(lot.pk)
            facts = lot.product, lot.credits, lot.reason, lot.created_at, lot.expires_at
            return "grant made", granted.replayed, number, *facts

        self.compare(grant, self.model.grant(**asked))

    def an_end(self, random):
        """The end of a new grant: sometimes that of another grant or of a hold, rarely one out of range."""
        lasts = [{"minutes": 1}, {"minutes": 15}, {"hours": 3}, {"days": 2}, {"days": 9}, {"days": 40}]
        lasts += [*lasts, *lasts, {"seconds": 59}, {"days": 5 * 366}]
        others = [*self.model.ends(), *[lot.expires_at for lot in self.model.lots.rows]]
        if others and random.random() < 0.25:
            return random.choice(sorted(others))
        return self.clock.now + timedelta(**random.choice(lasts))

    def void_grant(self, random):
        rows = self.model.lots.rows
        lot = random.choice(random.choice([self.model.lots.with_credits_left(), []]) or rows)
        product = random.choice([None, *PRODUCTS, *[lot.product or None] * 6])  # None: staff.

        def void():
            voided = granting.void(user_id=self.user_id, grant_id=lot.id, product=product)
            assert voided.lot.pk == lot.id
            return "grant voided", voided.replayed, voided.state, voided.removed, voided.held

        self.compare(void, self.model.void_grant(product, lot.number))

    def list_grants(self, random):
        now, product = self.clock.now, random.choice([None, *PRODUCTS])
        state, limit = random.choice(["", *Lot.State.values]), random.randint(1, 3)
        rows = [
            ((lot.made_at, lot.id), lot.facts(now))
            for lot in self.model.lots.rows
            if product in (None, lot.product) and state in ("", lot.state(now))
        ]
        newest_first = [facts for _, facts in sorted(rows, reverse=True)]
        shown, asked = [], {"user_id": self.user_id, "product": product, "state": state, "limit": limit}
        page = granting.page(**asked)
        while True:
            assert (len(page.lots) <= limit, page.now) == (True, now)
            shown += [
                (self.lot_ids.index(lot.pk), lot.state_at(now), lot.remaining, lot.held, lot.expired)
                for lot in page.lots
            ]
            if page.next_cursor is None:
                break
            page = granting.page(**asked, cursor=page.next_cursor)
        assert shown == newest_first

    def time_reaches_the_end_of_a_lot(self, random):
        self.reach(random, self.model.ends_of_lots())

    # --- Budgets ---

    def set_budget(self, random):
        set_by, product, period = self.a_budget(random)
        figures = {
            "credits": random.choice([*range(30), 1000]),
            "alert_percent": random.randint(1, 100),
        }
        asked = {"set_by": set_by, "product": product, "period": period} | figures

        def set_budget():
            return "budget", *facts_of_budget(budgets.set_budget(user_id=self.user_id, **asked))

        self.compare(set_budget, self.model.set_budget(**asked))

    def remove_budget(self, random):
        asked = dict(zip(("set_by", "product", "period"), self.a_budget(random, there=0.8), strict=True))
        expected = self.model.remove_budget(**asked)
        removed = budgets.remove_budget(user_id=self.user_id, **asked)
        assert ("budget removed", removed) == expected

    def a_budget(self, random, there=0.2):
        """The name of a budget, so often one that is there."""
        if self.model.budgets and random.random() < there:
            return random.choice(sorted(self.model.budgets))
        set_by = random.choice(["user", "product"])
        products = ["", *PRODUCTS] if set_by == "user" else PRODUCTS
        return set_by, random.choice(products), random.choice(["day", "month"])

    def list_budgets(self, random):
        for product in PRODUCTS:
            self.compare_the_budgets(product)

    def time_crosses_a_midnight(self, random):
        """To the end of a day or of a month, or a microsecond beside it."""
        today = datetime.combine(self.clock.now.date(), time(), UTC)
        month = (today.replace(day=1) + timedelta(days=31)).replace(day=1)
        end = random.choice([today + timedelta(days=1), today + timedelta(days=1), month])
        self.pass_time(end + random.choice([-A_MOMENT, timedelta(), timedelta(), A_MOMENT]))

    # --- The past ---

    def look_back(self, random):
        """What the wallet had at past moments: when something changed, just before, and at any other time."""
        moments = [*self.model.moments, BEGINNING]
        chosen = random.choice(moments)
        lasted = self.clock.now - BEGINNING
        for at in (chosen, chosen - A_MOMENT, BEGINNING + lasted * random.random()):
            self.compare_the_past(at)
        with pytest.raises(FutureTime):
            funds_of(self.user_id, at=self.clock.now + A_MOMENT)
