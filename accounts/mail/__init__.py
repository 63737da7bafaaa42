"""The mail that users get."""
