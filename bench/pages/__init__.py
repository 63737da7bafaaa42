"""`python -m bench.pages --against COMMIT`: how soon pages are there, at a commit and in this checkout."""
