"""The weekly mails to creators who want the tips of a week in one mail."""
