"""How users and staff sign in, and the account page."""
