"""What a charge costs on a cluster, compared with one server."""
