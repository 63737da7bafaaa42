"""The sign-in of users and staff, and the account page."""
