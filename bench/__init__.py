"""`make bench`: what a charge costs over HTTP, compared with the usual way to write one and a no-op view.

It is not part of the service: bench.settings extends the service's settings; the service never imports bench.
"""
