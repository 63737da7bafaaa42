"""The lists and actions for users, keys, plans and access."""
