"""What a creator earned, from whom, and what changed: reading alone."""
