"""The settings of gunicorn. Operators change them by environment variables."""

import os
import socket
import struct
from typing import Any

_host = os.environ.get("HOST") or "127.0.0.1"
_port = os.environ.get("PORT") or "8000"

bind = f"[{_host}]:{_port}" if ":" in _host else f"{_host}:{_port}"
# Use threads, because a request mostly waits for PostgreSQL or Stripe.
worker_class = "gthread"
workers = int(os.environ.get("WEB_WORKERS") or 2)
threads = int(os.environ.get("WEB_THREADS") or 8)
# gunicorn replaces a worker if its main thread does not respond for this many seconds. The other threads have
# no such timeout; when_ready limits how long they wait for a client.
timeout = 30
# This must be longer than a proxy keeps idle connections. Otherwise the proxy could send a request over a
# connection that gunicorn is closing.
keepalive = 75
graceful_timeout = 10
# Workers do not leak memory, so they are not replaced after a number of requests.
max_requests = 0
# The proxies whose X-Forwarded-Proto header is trusted. By default, no proxy is trusted.
forwarded_allow_ips = os.environ.get("TRUSTED_PROXIES") or ""
# The worker's heartbeat is a file. If a slow disk delayed it, gunicorn would kill a healthy worker.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 (gunicorn makes it private)
# The control socket would be a file in a home directory. It would remain after gunicorn is killed.
control_socket_disable = True
accesslog = "-" if os.environ.get("ACCESS_LOG") else None
# The query string is not logged: it may contain a name or an address that a staff member searched for.
access_log_format = '%(h)s %(t)s "%(m)s %(U)s %(H)s" %(s)s %(b)s'
errorlog = "-"
loglevel = (os.environ.get("LOG_LEVEL") or "info").lower()

# Drop a client that sends nothing for longer than this. Otherwise a few clients could occupy every thread.
SILENT_CLIENT_SECONDS = 2


def on_starting(server: Any) -> None:
    """Log a warning for each missing setting that production usually needs, with the consequence."""
    if os.environ.get("ENVIRONMENT", "production") != "production":
        return
    if not forwarded_allow_ips:
        server.log.warning(
            "TRUSTED_PROXIES is not set: no proxy is trusted to say that a request came over https, so every "
            "page redirects to itself and every API call is refused."
        )
    if not (os.environ.get("SSO_JWKS_URL") or os.environ.get("SSO_JWT_SECRET")):
        server.log.warning("Neither SSO_JWKS_URL nor SSO_JWT_SECRET is set: every bearer token is refused.")


def when_ready(server: Any) -> None:
    """Set a receive timeout on the listening sockets. On Linux, accepted connections inherit the timeout."""
    for listener in server.LISTENERS:
        timeout_value = struct.pack("ll", SILENT_CLIENT_SECONDS, 0)
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout_value)
