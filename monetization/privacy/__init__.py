"""Export or erase the data of one reader."""
