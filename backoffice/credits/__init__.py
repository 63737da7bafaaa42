"""The lists and actions for the wallet."""
