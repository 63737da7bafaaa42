"""What only the back-office's templates load."""
