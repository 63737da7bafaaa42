"""How users and staff sign in, and their account page."""
