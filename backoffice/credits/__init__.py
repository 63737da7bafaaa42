"""The wallet: staff's lists and actions."""
