"""The lists of users, keys, plans and roles, and the staff actions on them."""
