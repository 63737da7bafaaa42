"""How the cost of each request and command grows with the number of entries in the books."""

# A wallet writes so many entries in succession, so all books have a multiple of so many.
BLOCK = 10
