"""What staff see and do: the site, its lists, its actions and its other pages."""
