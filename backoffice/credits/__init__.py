"""The lists of the wallet's records, and the staff actions on these records."""
