"""Django's PostgreSQL engine with a deadline on the client's side; named by database.configuration()."""
