"""A wallet as most Django projects write it, correct and complete, to compare ours with."""
