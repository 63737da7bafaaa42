"""Compare Stripe with the books, in both directions, and repair what the webhooks did not bring.

Sessions, payment intents, refunds, disputes and balance transactions are compared by their ids: amount,
currency, payment intent, user and state. Without `apply`, nothing changes. With `apply`, the functions of the
webhook bring the books to what Stripe says; what they cannot do is left to staff.

- `findings`: the kinds of differences.
- `walk`: day by day, from both sides.
- `payments`, `facts`, `movements`: from Stripe to the books.
- `our_side`: from the books to Stripe.
- `records`: what the books say of a page of Stripe's objects.
- `runs`: one run at a time, and its progress.
"""
