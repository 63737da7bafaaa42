"""The front page: what needs a person, and the figures."""
