"""What a creator earned, from whom, and what changed. Nothing here writes."""
