"""The steps of random histories that move credits without grants: charges, holds, refunds, payments."""

from tests.wallet import by_hand
from tests.wallet.charges.steps import FEATURES, PRODUCTS, SERVICES, STAFF, WEEK, Steps
from tests.wallet.reversed import dispute_of
from wallet.books import ledger
from wallet.charges import deductions, give_backs, holds, quotes
from wallet.models import Entry, Hold
from wallet.payments import reversals, settlement

TTLS = (1, 60, 900, 7200, 86400, 2 * 86400, WEEK - 1, WEEK)


class StepsOfCharges(Steps):
    # --- Charges ---

    def deduct(self, random):
        asked = self.with_key(random, "deduct", **self.some_work(random))
        product = asked.pop("product")
        if random.random() < 0.1:
            asked["key"] = ""

        def deduct():
            charge = deductions.deduct(service=SERVICES[product], user_id=self.user_id, **asked)
            entry = charge.entry
            return "charge", charge.replayed, entry.available_before, entry.available_after, entry.charged

        self.compare(deduct, self.model.deduct(product, **asked))

    def some_work(self, random):
        """Some units of a feature for a product; often as many as can just be paid, or one too many.

        What is just paid is all that is available, all that grants have, or what a budget has left.
        """
        product, feature = random.choice(PRODUCTS), random.choice(FEATURES)
        count, price = random.randint(1, 4), self.model.prices[feature]
        if price and random.random() < 0.35:
            limits = [self.model.available, self.model.lots.free or self.model.available]
            limits += [budget.left for budget in self.model.budgets_of(product)]
            count = min(12, max(1, random.choice(limits) // price + random.choice([0, 1])))
        return {"product": product, "feature": feature, "count": count}

    def quote(self, random):
        asked = self.some_work(random)
        product = asked.pop("product")

        def quote():
            quoted = quotes.quote(service=SERVICES[product], user_id=self.user_id, **asked)
            return "quote", quoted.available_before, quoted.available_after, quoted.charged

        self.compare(quote, self.model.quote(product, **asked))

    def change_or_withdraw_a_rate(self, random):
        feature = random.choice(FEATURES)
        withdrawn = random.random() < 0.2
        self.model.prices[feature] = None if withdrawn else random.randint(1, 4)
        self.set_rate(feature)

    # --- Holds ---

    def authorize(self, random):
        work = self.some_work(random)
        asked = self.with_key(random, "hold", **work, ttl_seconds=random.choice(TTLS))
        product = asked.pop("product")

        def authorize():
            outcome = holds.authorize(service=SERVICES[product], user_id=self.user_id, **asked)
            hold = outcome.hold
            if not outcome.replayed:
                self.hold_ids.append(hold.pk)
            figures = hold.available_before, hold.available_after, hold.credits, hold.first_expires_at
            return "hold made", outcome.replayed, self.hold_ids.index(hold.pk), *figures

        self.compare(authorize, self.model.authorize(product, **asked))

    def capture(self, random):
        number, named, product = self.a_hold(random)
        count = random.choice([None, 1, 1, *range(2, self.model.holds[number].count + 2)])

        def capture():
            return self.answer_of(holds.capture(service=SERVICES[product], **named, count=count))

        self.compare(capture, self.model.capture(product, number, count))

    def void(self, random):
        number, named, own = self.a_hold(random)
        product = random.choice([own, None])  # None: staff.
        expected = self.model.void(product, number)
        self.compare(lambda: self.answer_of(holds.void(**named, product=product)), expected)

    def extend(self, random):
        number, named, product = self.a_hold(random)
        ttl_seconds = random.choice([*TTLS, WEEK, WEEK])

        def extend():
            return self.answer_of(holds.extend(service=SERVICES[product], **named, ttl_seconds=ttl_seconds))

        self.compare(extend, self.model.extend(product, number, ttl_seconds))

    def a_hold(self, random):
        """A hold, often an open one: its number, its names, and a product, nearly always its own."""
        opened = [hold.number for hold in self.model.open_holds]
        of_lots = [number for number in opened if len(self.model.holds[number].parts) > 1]
        number = random.choice(random.choice([of_lots, opened, opened, []]) or range(len(self.hold_ids)))
        product = random.choice([*PRODUCTS, *[self.model.holds[number].product] * 18])
        return number, {"user_id": self.user_id, "hold_id": self.hold_ids[number]}, product

    def answer_of(self, outcome):
        return "hold", outcome.replayed, *self.facts_of_hold(outcome.hold)

    def list_holds(self, random):
        product, state = random.choice([None, *PRODUCTS]), random.choice(["", *Hold.State.values])
        rows = [
            ((hold.made_at, self.hold_ids[hold.number]), hold.facts)
            for hold in self.model.holds
            if product in (None, hold.product) and state in ("", hold.state)
        ]
        newest_first = [facts for _, facts in sorted(rows, reverse=True)]
        assert self.holds_listed(product, state, random.randint(1, 3)) == newest_first
        for hold in self.model.holds[:1]:
            found = holds.find(user_id=self.user_id, hold_id=self.hold_ids[0], product=hold.product)
            assert self.facts_of_hold(found) == hold.facts

    def time_reaches_the_end_of_a_hold(self, random):
        self.reach(random, self.model.ends_of_holds())

    # --- Refunds and corrections ---

    def refund(self, random):
        entry = self.an_entry(random)
        charge = {"pk": entry.pk}
        if entry.hold_id:
            charge = random.choice([charge, {"hold_id": entry.hold_id}])
        elif entry.kind == "deduct":
            charge = random.choice([charge, {"idempotency_key": entry.idempotency_key or "none"}])
        product = random.choice([*PRODUCTS, *[entry.product or "blog"] * 18])
        credits = self.an_amount(random, entry)
        asked = self.with_key(random, "refund", product=product, charge=charge, credits=credits)
        product, charge = asked.pop("product") or "blog", asked["charge"]

        def refund():
            made = give_backs.refund(service=SERVICES[product], user_id=self.user_id, **asked)
            said = made.answer.refundable, made.answer.lapsed, made.answer.to_grants, made.answer.available
            return "refund", made.replayed, self.place_of(made.entry), made.entry.credits, *said

        named = charge | {"product": product} | ({"kind": "deduct"} if "idempotency_key" in charge else {})
        found = Entry.objects.filter(wallet_id=self.user_id, **named).first()
        expected = self.model.refund(product, self.place_of_charge(found), asked["credits"], asked["key"])
        self.compare(refund, expected)

    def give_back_by_staff(self, random):
        entry = self.an_entry(random)
        facts = {"product": entry.product, "charge": {"pk": entry.pk}}
        asked = self.with_key(random, "refund", **facts, credits=self.an_amount(random, entry))
        entry = Entry.objects.filter(wallet_id=self.user_id, **asked["charge"]).first() or entry
        key, credits = asked["key"], asked["credits"]

        def give_back():
            made = by_hand.give_back(entry=entry, credits=credits, reason="", key=key, actor=STAFF)
            return "given back", self.place_of(made), made.credits

        expected = self.model.refund(entry.product, self.place_of_charge(entry), credits, key)
        if expected[0] == "refund":
            expected = "given back", *expected[2:4]
        self.compare(give_back, expected)

    def place_of_charge(self, entry):
        """The place of a charge; None for any other entry."""
        return self.place_of(entry) if entry and entry.kind in ("deduct", "capture") else None

    def an_amount(self, random, entry):
        """None for all that is left, or a number of credits: mostly not more than is left."""
        place = self.place_of_charge(entry)
        left = 0 if place is None else self.model.history[place].left
        return random.choice([None, random.randint(1, left + 1)])

    def an_entry(self, random):
        """An entry, mostly a charge of which something is left to give back."""
        entries = self.entries()
        history = [entry for entry in entries if entry.kind != "expiry"]
        rows = list(zip(history, self.model.history, strict=True))
        left = [entry for entry, row in rows if row.left]
        of_lots = [entry for entry, row in rows if row.left and len(row.left_of_lots) > 1]
        return random.choice(random.choice([of_lots, left, left, entries]) or left or entries)

    def adjust(self, random):
        credits = random.choice([*range(-15, 0), *range(1, 16)])
        asked = self.with_key(random, "adjustment", credits=credits)

        def adjust():
            made = by_hand.adjust(user_id=self.user_id, **asked, reason="Goodwill", actor=STAFF)
            return "adjustment", self.place_of(made)

        self.compare(adjust, self.model.adjust(**asked))

    def freeze_or_not(self, random):
        frozen = random.choice([False, True])
        assert ledger.set_frozen(self.user_id, frozen=frozen) == (frozen != self.model.frozen)
        self.model.frozen = frozen

    # --- Payments ---

    def top_up(self, random):
        cents, intent_id = random.randint(100, 3000), f"pi_{self.user_id}_{len(self.payments)}"
        session = {
            "id": f"cs_{intent_id}",
            "mode": "payment",
            "payment_status": "paid",
            "amount_total": cents,
            "currency": "usd",
            "payment_intent": intent_id,
            "metadata": {"type": "wallet_topup", "user_id": self.user_id, "product": "blog"},
        }
        settlement.settle(session, happened_at=self.clock.now)
        self.payments.append([cents])
        self.model.move("topup", cents // 100, "blog")

    def dispute_moves_money(self, random):
        number, takes = random.randint(0, len(self.payments) - 1), random.choice([True, False])
        payment = self.payments[number]
        before = sum(payment)
        if at_most := before if takes else payment[0] - before:
            cents = random.randint(1, at_most)
            payment.append(-cents if takes else cents)
            intent_id = f"pi_{self.user_id}_{number}"
            dispute = dispute_of(intent_id, *payment[1:], id=f"dp_{intent_id}")
            reversals.dispute(dispute, happened_at=self.clock.now)
            self.model.payment_comes_to("blog", before // 100, sum(payment) // 100)
