"""Reading a wallet: its history, its months, what it was spent on."""
