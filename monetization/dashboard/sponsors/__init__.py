"""Placements: the list, its file, and the forms."""
