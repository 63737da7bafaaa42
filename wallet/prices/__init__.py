"""What a unit of a feature costs."""
