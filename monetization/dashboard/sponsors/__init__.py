"""A creator's placements: the list, its CSV file, and the forms."""
