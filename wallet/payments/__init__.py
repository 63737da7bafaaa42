"""Payments with Stripe: open checkouts, receive events, credit payments, compare Stripe with the books."""
