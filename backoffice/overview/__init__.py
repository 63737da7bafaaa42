"""The front page: what needs attention, and the figures."""
