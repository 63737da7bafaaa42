"""The database: its settings, its engine, its timeouts, and the retry of transactions."""
