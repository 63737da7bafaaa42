"""Days and times as every page of the back-office shows them: in UTC, and saying so, to the second."""

DATE_FORMAT = "j M Y"
DATETIME_FORMAT = r"j M Y, H:i:s \U\T\C"
