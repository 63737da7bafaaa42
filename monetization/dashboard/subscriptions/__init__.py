"""Subscriptions: the list, its file, one of them, and its changes."""
