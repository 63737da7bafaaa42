"""The page that shows everything about one user."""
