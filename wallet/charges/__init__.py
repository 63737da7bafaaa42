"""What products take out of a wallet."""
