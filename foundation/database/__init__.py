"""Which database, how it is spoken to, and when a transaction is tried again."""
