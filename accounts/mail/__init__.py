"""The mails that users get."""
