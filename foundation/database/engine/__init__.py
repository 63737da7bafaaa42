"""Django's PostgreSQL engine with a timeout on the client's side. `configuration()` sets it as the ENGINE."""
