"""`make bench`: what a charge costs over real HTTP, beside the usual way to write one and beside nothing.

Never part of the service: bench.settings adds to its settings, and nothing of the service imports bench.
"""
