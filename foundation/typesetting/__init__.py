"""Set PDF files from Typst templates, in a short-lived child process (decision 0050)."""
