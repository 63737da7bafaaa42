"""Tags and filters that only the templates of the back-office load."""
