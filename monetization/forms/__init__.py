"""What a creator types on the dashboard."""
