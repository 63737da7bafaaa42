"""The creator's dashboard. Each tab has its own package."""
