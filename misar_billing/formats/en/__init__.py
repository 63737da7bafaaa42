"""English, the only language of this service."""
