"""The wallet as a user sees it."""
