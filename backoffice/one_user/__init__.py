"""Everything about one user, on one page."""
