"""The end of the month: what finance books, as pages and as files."""
