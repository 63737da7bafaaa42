"""The back-office, which only staff can open: its lists, its actions and its other pages."""
