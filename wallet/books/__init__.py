"""The books: wallets, entries, totals of days, and laws. All other packages of the wallet use this one."""
