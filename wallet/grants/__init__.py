"""Grants: credits with an end, given by products and by staff."""
