"""The formats of days and times in the back-office. Times have seconds and are marked as UTC."""

DATE_FORMAT = "j M Y"
DATETIME_FORMAT = r"j M Y, H:i:s \U\T\C"
