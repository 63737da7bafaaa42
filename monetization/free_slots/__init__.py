"""The link with which a creator shows their free days to a possible sponsor."""
