"""Tips: the list, its file, one of them, and refunds."""
