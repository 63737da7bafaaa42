"""The date and time formats of the admin's own pages (FORMAT_MODULE_PATH). They replace Django's formats."""
