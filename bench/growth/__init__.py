"""How the cost of each request and command grows with the number of entries in the books."""
