"""The totals of creators' records for each finished day, so that figures do not add up every record again."""
