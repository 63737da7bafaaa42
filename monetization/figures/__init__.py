"""Computes what a creator earned, which readers paid, and what changed. Nothing here writes."""
