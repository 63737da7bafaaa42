"""Charges: what products take from a wallet."""
