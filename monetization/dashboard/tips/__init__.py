"""Tips: the list, its CSV file, and the page of one tip with its refunds."""
