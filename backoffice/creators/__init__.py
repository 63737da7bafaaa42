"""Creators' records: staff's lists and actions."""
