"""The creator's overview page. It shows what the creator earned, which readers paid, and what to do next."""
