"""The base of all lists: they can be read by staff and edited by no one."""
