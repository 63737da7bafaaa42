"""The staff's side of the service: the site, and the pages that show all apps at once."""
