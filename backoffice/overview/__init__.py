"""The front page of the back-office. It shows the figures of the service, and what needs attention."""
