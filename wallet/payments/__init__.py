"""Money from Stripe to credits, and back: checkout, inbox, settlement, reconciliation."""
