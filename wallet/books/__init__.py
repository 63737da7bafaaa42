"""The books: wallets, entries, days, laws. Every other room uses this one."""
