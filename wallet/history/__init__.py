"""Read a wallet: its history, its monthly statements, and what its credits were spent on."""
