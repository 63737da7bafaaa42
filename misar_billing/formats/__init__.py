"""How the admin's own pages show days and times: without this its language decides (FORMAT_MODULE_PATH)."""
