"""The pages of the wallet that a user sees."""
