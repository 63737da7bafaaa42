"""The creator's dashboard: one module for each tab."""
