"""What Prometheus reads: counts of all workers, and figures from the database."""
