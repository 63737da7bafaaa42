"""Charges: products take credits from a wallet."""
