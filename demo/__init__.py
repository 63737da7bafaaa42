"""The demonstration: a year of realistic data, and the story that `make demo` tells."""
