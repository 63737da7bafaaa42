"""A wallet as most Django projects write it, correct and complete: what ours is measured against."""
