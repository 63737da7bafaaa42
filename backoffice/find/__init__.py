"""The search for a user or a record by any id, key or e-mail address."""
