"""What a demonstration shows: a year of believable data, and the story that `make demo` tells."""
