"""Stripe's side of the month: what moved on our balance there, its fees, and the payouts to our bank."""
