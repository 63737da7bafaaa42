"""Users, keys, plans and access: lists and actions."""
