"""The books: wallets, entries, totals of days, and the laws for these rows.

All other packages of the wallet use this package.
"""
