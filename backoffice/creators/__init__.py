"""The lists and actions for creators' records."""
