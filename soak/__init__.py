"""`make soak`: break what the service stands on, under load, and compare what callers saw with the books.

It is not part of the service, which never imports it.
"""
