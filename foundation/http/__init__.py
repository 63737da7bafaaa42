"""What all paths share: envelopes, strict reading, request ids, the last resort."""
