"""One reader's data: exported, or erased."""
