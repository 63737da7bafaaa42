"""The lists of creators' records, and the staff actions on these records."""
