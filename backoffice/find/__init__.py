"""Finding what support was given."""
