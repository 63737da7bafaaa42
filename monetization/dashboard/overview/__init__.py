"""What a creator earned, from whom, and what to do next."""
