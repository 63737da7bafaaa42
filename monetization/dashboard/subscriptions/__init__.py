"""Subscriptions: the list, its CSV file, and the page that shows and changes one subscription."""
