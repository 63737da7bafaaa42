"""The books: wallets, entries, days, laws. Every other room stands on this one."""
