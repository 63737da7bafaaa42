"""The code that all lists share. Staff can read the rows of a list, but they cannot edit a row there."""
