"""The prices of features."""
