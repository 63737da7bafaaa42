"""A creator's API keys."""
